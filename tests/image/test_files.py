"""The files of an image: what was asked for, and nothing of the machine that made it."""

from __future__ import annotations

import mmap
import subprocess
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from image_composer.disk.pe import read_pe_sections
from image_composer_providers.debian.provider import PROVIDER
from support.image import CANARY, HOSTNAME, Credentials, Image

pytestmark = [pytest.mark.build, pytest.mark.network]

ABSENT = (
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/usr/sbin/policy-rc.d",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/status-old",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/cache/ldconfig/aux-cache",
)
"""What building leaves behind, or what no two machines may share."""

EMPTY = ("/run", "/tmp", "/proc", "/sys", "/dev", "/var/tmp", "/var/log/apt", "/var/lib/dpkg/updates", "/mnt")


def found_in(path: Path, needles: Iterable[str]) -> set[str]:
    """Give those of some texts that the bytes of a file hold."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {needle for needle in needles if content.find(needle.encode()) >= 0}


@pytest.fixture(scope="module")
def builders_own(image: Image) -> set[str]:
    """What only the machine that composed the image knows."""
    hosts = {urlsplit(repository.url).hostname for repository in image.lock.repositories}
    return {
        CANARY,
        str(image.folder.parent),
        str(image.composer.cache),
        str(Path(__file__).parents[2]),
        *(host for host in hosts if host and not host.endswith(".debian.org")),  # packages name Debian's own
    }


def test_the_disk_holds_nothing_of_the_builders_environment_and_places(image: Image, builders_own: set[str]) -> None:
    assert found_in(image.raw, builders_own | {HOSTNAME}) == {HOSTNAME}


def test_neither_does_the_initramfs(image: Image, builders_own: set[str], tmp_path: Path) -> None:
    initramfs = tmp_path / "initramfs"
    packed = read_pe_sections(image.uki(tmp_path).read_bytes())[".initrd"]
    with initramfs.open("wb") as stream:
        subprocess.run(["zstd", "--decompress", "--stdout"], input=packed, stdout=stream, check=True)
    assert found_in(initramfs, builders_own | {"usr/lib/systemd/systemd"}) == {"usr/lib/systemd/systemd"}


def test_the_evidence_shows_no_secret(image: Image, credentials: Credentials) -> None:
    for path in image.folder.iterdir():
        if path.suffix == ".json":
            assert found_in(path, {CANARY, credentials.password, credentials.password_hash}) == set()


def test_the_machines_id_is_made_at_its_first_boot(image: Image) -> None:
    with image.root() as root:
        assert root.text("/etc/machine-id") == ""


def test_host_keys_are_made_at_the_first_boot(image: Image) -> None:
    with image.root() as root:
        assert [name for name in root.names("/etc/ssh") if name.startswith("ssh_host_")] == []


def test_building_leaves_nothing_behind(image: Image) -> None:
    with image.root() as root:
        assert [path for path in ABSENT if root.exists(path)] == []
        assert {path: root.names(path) for path in EMPTY} == {path: [] for path in EMPTY}
        assert [name for name in root.names("/var/log") if name.endswith(".log")] == []


def test_nobody_can_log_in_with_a_password_but_who_was_given_one(image: Image, credentials: Credentials) -> None:
    with image.root() as root:
        rows = [line.split(":") for line in root.text("/etc/shadow").splitlines()]
    assert [row[0] for row in rows if not row[1].startswith(("*", "!"))] == ["bob"]
    assert next(row[1] for row in rows if row[0] == "bob") == credentials.password_hash


def test_every_mount_is_by_the_id_of_its_file_system(image: Image) -> None:
    mounts = {line.split()[1]: line.split() for line in image.report.fstab}
    layout = image.spec.disk.partitions or PROVIDER.manifest(image.spec.target.release).partitions
    assert list(mounts) == sorted(str(partition.mount_point) for partition in layout)
    assert all(words[0].startswith("UUID=") for words in mounts.values())
    assert {words[2] for words in mounts.values()} == {"ext4", "vfat"}
