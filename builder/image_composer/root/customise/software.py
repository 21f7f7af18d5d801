"""Repositories and package manager of the running system; what of packages is left out.

Formats: sources.list(5) in deb822 style, apt_preferences(5), dpkg.cfg(5), dnf.conf(5).
"""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.manifest import Family
from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes
from image_composer.root.operations import Operation
from image_composer.spec.image import Repository, Signed
from image_composer.spec.software import Minimize, PackageManager, Sources

APT_SOURCES, APT_KEYS = "/etc/apt/sources.list.d", "/etc/apt/keyrings"
YUM_REPOSITORIES, RPM_KEYS = "/etc/yum.repos.d", "/etc/pki/rpm-gpg"

PROGRAMS = {
    Family.DEB: ("/usr/bin/apt*", "/usr/bin/dpkg*", "/usr/sbin/dpkg*", "/usr/lib/apt", "/etc/apt/sources.list*"),
    Family.RPM: (
        *("/usr/bin/rpm*", "/usr/bin/dnf*", "/usr/bin/tdnf*", "/usr/bin/microdnf", "/usr/bin/yum*"),
        YUM_REPOSITORIES,
    ),
}
"""What a package manager consists of, as far as it changes anything."""

DOCUMENTATION = ("/usr/share/man", "/usr/share/info", "/usr/share/gtk-doc", "/usr/share/help")
LOCALES = "/usr/share/locale"


def manager_changes(wanted: PackageManager, repositories: Sequence[Repository], family: Family) -> Changes:
    """Say what to write for the repositories that the running system knows, and what to take away."""
    found: list[Operation] = []
    if wanted.sources in (Sources.DOCUMENT, Sources.NONE):
        patterns = (f"{APT_SOURCES}/*", "/etc/apt/sources.list") if family is Family.DEB else (f"{YUM_REPOSITORIES}/*",)
        found += [operations.remove(pattern) for pattern in patterns]
    if wanted.sources in (Sources.DOCUMENT, Sources.BOTH):
        write = _apt_source if family is Family.DEB else _yum_repository
        found += [operation for repository in repositories for operation in write(repository)]
    commands = []
    if wanted.holds:
        lines = "".join(f"{name} hold\n" for name in wanted.holds)
        place = f"/var/lib/dpkg/{OWN_NAME}-holds"
        found.append(operations.write(place, lines))
        commands.append(("/bin/sh", "-c", f"dpkg --set-selections <{place} && rm {place}"))
    return Changes(tuple(found), commands=tuple(commands))


def removal_operations(wanted: PackageManager, family: Family) -> list[Operation]:
    """Say what to take away of the package manager, after it has done its last work."""
    return [operations.remove(pattern) for pattern in PROGRAMS[family]] if wanted.remove else []


def minimize_changes(wanted: Minimize, family: Family) -> Changes:
    """Say what of packages to take away, and how later updates are told to leave it out, too."""
    found: list[Operation] = []
    excluded: list[str] = []
    if wanted.documentation:
        found += [operations.remove(f"{folder}/*") for folder in DOCUMENTATION]
        # Licences are read for the SBOM, and have to come with the programs.
        found.append(operations.remove_except("/usr/share/doc", ["copyright", "LICENSE*", "COPYING*"]))
        excluded += [*(f"path-exclude={folder}/*" for folder in DOCUMENTATION), "path-exclude=/usr/share/doc/*"]
        excluded.append("path-include=/usr/share/doc/*/copyright")
    if wanted.keep_locales is not None:
        kept = [*wanted.keep_locales, *(name.partition("_")[0] for name in wanted.keep_locales), "locale.alias"]
        found.append(operations.remove_except(LOCALES, kept))
        excluded += [f"path-exclude={LOCALES}/*", *(f"path-include={LOCALES}/{name}/*" for name in dict.fromkeys(kept))]
    if not found:
        return Changes()
    if family is Family.DEB:
        lines = "".join(f"{line}\n" for line in excluded)
        return Changes((operations.write(f"/etc/dpkg/dpkg.cfg.d/{OWN_NAME}", lines), *found))
    macros = "%_excludedocs 1\n" if wanted.documentation else ""
    if wanted.keep_locales is not None:
        macros += f"%_install_langs {':'.join(dict.fromkeys(wanted.keep_locales)) or 'C'}\n"
    return Changes((operations.write(f"/etc/rpm/macros.{OWN_NAME}", macros), *found))


def _apt_source(repository: Repository) -> list[Operation]:
    suite = repository.suite or "/"
    key = f"{APT_KEYS}/{repository.id}.asc"
    fields = [("Types", "deb"), ("URIs", repository.url), ("Suites", suite)]
    if not suite.endswith("/"):
        fields.append(("Components", " ".join(repository.components or ["main"])))
    fields.append(("Signed-By", key))
    text = "".join(f"{name}: {value}\n" for name, value in fields)
    return [
        operations.write(key, repository.key),
        operations.write(f"{APT_SOURCES}/{repository.id}.sources", text),
    ]


def _yum_repository(repository: Repository) -> list[Operation]:
    key = f"{RPM_KEYS}/{repository.id}"
    signed = repository.signed or Signed.METADATA_AND_PACKAGES
    lines = [
        f"[{repository.id}]",
        f"name={repository.id}",
        f"baseurl={repository.url}",
        "enabled=1",
        f"gpgcheck={int(signed is not Signed.METADATA)}",
        f"repo_gpgcheck={int(signed is not Signed.PACKAGES)}",
        f"gpgkey=file://{key}",
        # dnf's lower is our higher; its default is 99, ours 500.
        f"priority={max(1, min(99, 99 - (repository.priority - 500) // 10))}",
        *([f"includepkgs={','.join(repository.packages)}"] if repository.packages else []),
    ]
    return [
        operations.write(key, repository.key),
        operations.write(f"{YUM_REPOSITORIES}/{repository.id}.repo", "".join(f"{line}\n" for line in lines)),
    ]
