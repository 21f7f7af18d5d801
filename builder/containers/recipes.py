"""What each image is made of. Everything that differs between them stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from containers.shrink import Remainder

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

BUILDER_GROUPS = ("build", "sign", "boot")
"""Groups of host-packages.txt that stages need; with `boot`, a pod can start the image that it has made."""

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

    left_out: tuple[str, ...] = ()
    """Python packages of the project that it does without."""

    solv: bool = False
    """Whether the solver's bindings are there."""

    user: str = ""
    """`uid:gid` that it is started as; root when empty."""

    remainder: Remainder | None = None
    """What stays of the Debian packages; all of them when absent."""

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


ONLY_PYTHON = Remainder(
    packages=(*BASE, "base-files", "base-passwd", "libc-bin"),
    needless=("debconf", "dpkg", "libdebconfclient0", "mawk", "openssl", "perl-base"),
    links=("/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs"),  # where libssl looks for certificates; openssl brings them
    files=(
        "/etc/alternatives", "/usr/bin/awk", "/usr/bin/nawk", "/usr/bin/pager", "/usr/bin/which", "/usr/sbin/rmt",
        "/etc/dpkg", "/etc/init.d", "/etc/rc?.d", "/etc/rmt", "/etc/skel", "/usr/lib/*-linux-gnu/gconv/*",
    ),
)  # fmt: skip
"""What one Python program needs: no shell, no package manager, no program with rights of its own."""


def host_packages(text: str, group: str) -> tuple[str, ...]:
    """Give the packages of one group of host-packages.txt; of several that would do, the first, which is Debian's.

    Args:
        text: of the file.
        group: for example `build`.
    """
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return tuple(row[1].partition("|")[0] for row in rows if row and row[0] == group)


def recipes() -> tuple[Recipe, ...]:
    """Give all images."""
    text = HOST_PACKAGES.read_text()
    return (
        Recipe(
            name="builder",
            title="Image Composer: the stages of a build",
            packages=(
                *BASE,
                *(package for group in BUILDER_GROUPS for package in host_packages(text, group)),
                *SOLV_LIBRARIES,
            ),
            requirements="requirements.txt",
            program="image-composer",
            left_out=("image_composer_operator",),
            solv=True,  # the pod says for each stage who runs it
        ),
        Recipe(
            name="operator",
            title="Image Composer: the operator",
            packages=BASE,
            requirements="requirements-operator.txt",
            program="image-composer-operator",
            user=f"{UNPRIVILEGED}:{UNPRIVILEGED}",
            remainder=ONLY_PYTHON,
            environment={"PYTHONUNBUFFERED": "1"},
        ),
    )
