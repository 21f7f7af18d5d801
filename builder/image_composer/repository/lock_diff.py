"""What changed between two locks: for reviews, release notes and `image-composer diff`."""

from __future__ import annotations

from image_composer.repository.lock import Lock, LockedPackage
from image_composer.spec.base import SpecModel, format_size


class PackageState(SpecModel):
    """A package as one of the two locks has it."""

    version: str
    architecture: str
    repository: str
    sha256: str

    @classmethod
    def of(cls, package: LockedPackage) -> PackageState:
        """Take from a lock's package what makes a difference."""
        return cls(
            version=package.version,
            architecture=package.architecture,
            repository=package.repository,
            sha256=package.sha256,
        )


class PackageChange(SpecModel):
    """A package that only one of the locks has, or that differs."""

    name: str
    old: PackageState | None = None
    new: PackageState | None = None


class LockDiff(SpecModel):
    """The difference between two locks; where packages were downloaded from makes none."""

    added: list[PackageChange]
    removed: list[PackageChange]
    changed: list[PackageChange]
    size_change: int
    """Bytes that the package files have more than before."""

    installed_size_change: int
    """Bytes that they need more than before once unpacked."""


def diff_locks(old: Lock, new: Lock) -> LockDiff:
    """Compare two locks; packages are sorted by name."""
    before = {package.name: package for package in old.packages}
    after = {package.name: package for package in new.packages}
    changes = []
    for name in sorted(before.keys() | after.keys()):
        states = [PackageState.of(lock[name]) if name in lock else None for lock in (before, after)]
        if states[0] != states[1]:
            changes.append(PackageChange(name=name, old=states[0], new=states[1]))
    return LockDiff(
        added=[change for change in changes if change.old is None],
        removed=[change for change in changes if change.new is None],
        changed=[change for change in changes if change.old and change.new],
        size_change=sum(package.size for package in new.packages) - sum(package.size for package in old.packages),
        installed_size_change=sum(package.installed_size for package in new.packages)
        - sum(package.installed_size for package in old.packages),
    )


def render_text(diff: LockDiff) -> str:
    """Give a difference as people read it, one line a package, without a final line break."""
    if not (diff.added or diff.removed or diff.changed):
        return "no difference"
    lines = [f"+ {change.name} {change.new.version}" for change in diff.added if change.new]
    lines += [f"- {change.name} {change.old.version}" for change in diff.removed if change.old]
    lines += [
        f"~ {change.name} {_told(change.old, change.new)}" for change in diff.changed if change.old and change.new
    ]
    counts = f"{len(diff.added)} added, {len(diff.removed)} removed, {len(diff.changed)} changed"
    lines.append(f"{counts}; {_signed(diff.installed_size_change)} installed, {_signed(diff.size_change)} to fetch")
    return "\n".join(lines)


def _told(old: PackageState, new: PackageState) -> str:
    """Say what is different: the version, else the architecture or the repository, else the content alone."""
    for before, after in (
        (old.version, new.version),
        (old.architecture, new.architecture),
        (f"{old.version} of {old.repository}", f"{new.version} of {new.repository}"),
    ):
        if before != after:
            return f"{before} -> {after}"
    return f"{old.version}: other content ({old.sha256[:12]} -> {new.sha256[:12]})"


def _signed(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{format_size(abs(size))}"
