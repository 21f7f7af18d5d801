"""What each image is made of. Everything that differs between them stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SETUP = CHECKOUT / "builder" / "setup"
HOST_PACKAGES = SETUP / "host-packages.txt"

RELEASE = "12"
"""Debian release of the images; also in the two files named Containerfile."""

PYTHON = "3.11"
"""Its Python."""

UNPRIVILEGED = 65532
"""User and group of what needs no rights: the number that images without a root user have agreed on."""

BASE = ("python3", "ca-certificates", "usr-is-merged")  # the last one, or perl comes to merge what is merged already

SOLV_LIBRARIES = ("libbz2-1.0", "liblzma5", "libxml2", "libzstd1", "zlib1g")
"""What the wheel of `solv` links to, see builder/setup/solv.sh."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image."""

    name: str
    title: str
    packages: tuple[str, ...]
    """Debian packages; the closure of the Essential ones comes by itself."""

    requirements: str
    """File of builder/setup with the pinned Python packages."""

    program: str
    """Entry point of the project that is started."""

    solv: bool = False
    """Whether the solver's bindings are there."""

    user: str = ""
    """`uid:gid` that it is started as; root when empty."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Beyond `ENVIRONMENT`."""

    @property
    def repository(self) -> str:
        """Name of the image without a tag. The host is one that nobody can pull from by mistake."""
        return f"localhost/image-composer-{self.name}"


ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    # Everything is compiled already, and the root file system is read-only.
    "PYTHONDONTWRITEBYTECODE": "1",
}


def host_packages(text: str, group: str) -> tuple[str, ...]:
    """Give the packages of one group of host-packages.txt.

    Args:
        text: of the file.
        group: for example `build`.
    """
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return tuple(row[1] for row in rows if row and row[0] == group)


def recipes() -> tuple[Recipe, ...]:
    """Give all images."""
    return (
        Recipe(
            name="builder",
            title="Image Composer: the stages of a build",
            packages=(*BASE, *host_packages(HOST_PACKAGES.read_text(), "build"), *SOLV_LIBRARIES),
            requirements="requirements.txt",
            program="image-composer",
            solv=True,  # the pod says for each stage who runs it
        ),
        Recipe(
            name="operator",
            title="Image Composer: the operator",
            packages=BASE,
            requirements="requirements-operator.txt",
            program="image-composer-operator",
            user=f"{UNPRIVILEGED}:{UNPRIVILEGED}",
            environment={"PYTHONUNBUFFERED": "1"},
        ),
    )
