"""What a concern wants done to the root, as values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from image_composer.errors import AssemblyError
from image_composer.manifest import Family
from image_composer.root.operations import Operation

OWN_NAME = "90-image"
"""Name of our files in folders that are read in order: after the distribution's, before what an administrator adds."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one concern, or of all of them."""

    operations: tuple[Operation, ...] = ()
    enable: tuple[str, ...] = ()
    """Units to be started."""

    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    """Programs of the image that take up what was written, for example the one that gathers certificates."""


@dataclass(frozen=True, slots=True)
class Root:
    """What concerns know of the root they change."""

    installed: Collection[str]
    """Names of its packages."""

    family: Family = Family.DEB
    """Format of its packages."""

    users: Mapping[str, int] = field(default_factory=dict)
    """User ids by name."""

    groups: Mapping[str, int] = field(default_factory=dict)
    """Group ids by name."""

    present: Collection[str] = ()
    """Those paths of `all.looked_for` that are there."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Text of those files of `all.read` that are there."""

    def owner(self, path: str, user: str, group: str) -> tuple[int, int]:
        """Give the ids that stand for an owner.

        Raises:
            AssemblyError: ASSEMBLE_NO_SUCH_OWNER.
        """
        for kind, name, known in (("user", user, self.users), ("group", group, self.groups)):
            if name not in known:
                raise AssemblyError(
                    "ASSEMBLE_NO_SUCH_OWNER",
                    f"{path} is to belong to the {kind} {name}, which the image doesn't have",
                    hint=f"name it in {kind}s, or a package that brings it in packages",
                )
        return self.users[user], self.groups[group]


def together(parts: Iterable[Changes]) -> Changes:
    """Give the changes of several concerns as one, in their order; what one of them starts no other one stops."""
    found = [*parts]
    enabled = dict.fromkeys(one for part in found for one in part.enable)
    return Changes(
        operations=tuple(one for part in found for one in part.operations),
        enable=tuple(enabled),
        disable=tuple(dict.fromkeys(one for part in found for one in part.disable if one not in enabled)),
        mask=tuple(dict.fromkeys(one for part in found for one in part.mask)),
        commands=tuple(dict.fromkeys(one for part in found for one in part.commands)),
    )


def whole_lines(text: str) -> str:
    """Give a text whose last line ends, as some programs want it."""
    return text if text.endswith("\n") or not text else f"{text}\n"
