import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.digest import file_sha256
from image_composer.disk.esp import EspFile, FatParameters, cluster_size, make_fat, size_needed
from image_composer.disk.filesystems import filesystem_uuid
from image_composer.errors import DiskError, DiskTooSmallError
from image_composer.run import Runner
from image_composer.settings import GIB, MIB
from image_composer.spec.disk import Filesystem
from support.disks import EPOCH, IDENTITY, say


def parameters(size: int = 40 * MIB) -> FatParameters:
    uuid = filesystem_uuid(Filesystem.VFAT, "esp", IDENTITY)
    return FatParameters(size=size, uuid=uuid, label="ESP", epoch=EPOCH)


def esp_file(destination: str, source: Path | bytes) -> EspFile:
    return EspFile(PurePosixPath(destination), source)


def boot_files(folder: Path) -> list[EspFile]:
    loader = folder / "systemd-bootx64.efi"
    loader.write_bytes(b"MZ" * 50_000)
    return [
        esp_file("/EFI/systemd/systemd-bootx64.efi", loader),
        esp_file("/EFI/BOOT/BOOTX64.EFI", loader),
        esp_file("loader/loader.conf", b"timeout 0\n"),
        esp_file("loader/entries.srel", b"type1\n"),
        esp_file("EFI/Linux/edge-gateway-1.4.0-with-a-long-name.efi", b"MZ" * 700),
        esp_file("empty", b""),
    ]


def made(files: list[EspFile], image: Path, size: int = 40 * MIB) -> Path:
    make_fat(files, image, parameters(size), tools=Runner())
    return image


def content_of(image: Path, path: str) -> bytes:
    return subprocess.run(["mtype", "-i", image, f"::{path}"], check=True, capture_output=True).stdout


def test_equal_files_give_equal_bytes_whatever_their_order_and_place(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    first = made(boot_files(folders[0]), folders[0] / "esp.img")
    second = made(boot_files(folders[1])[::-1], folders[1] / "other.img")
    assert file_sha256(first) == file_sha256(second)


def test_the_file_system_is_clean_and_holds_the_files(tmp_path: Path) -> None:
    files = boot_files(tmp_path)
    image = made(files, tmp_path / "esp.img")
    checked = subprocess.run(["fsck.vfat", "-n", image], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    listed = set(say("mdir", "-b", "-/", "-i", image, "::").splitlines())
    assert {line for line in listed if not line.endswith("/")} == {"::/" + "/".join(file.parts) for file in files}
    assert content_of(image, "/loader/loader.conf") == b"timeout 0\n"
    assert content_of(image, "/efi/boot/bootx64.efi") == b"MZ" * 50_000


def test_id_and_label_are_those_given(tmp_path: Path) -> None:
    image = made(boot_files(tmp_path), tmp_path / "esp.img")
    said = say("blkid", "-p", "-o", "export", image).splitlines()
    assert f"UUID={parameters().uuid}" in said
    assert "LABEL=ESP" in said
    assert "VERSION=FAT32" in said


def test_every_time_is_the_epoch(tmp_path: Path) -> None:
    image = made(boot_files(tmp_path), tmp_path / "esp.img")
    times = re.findall(r"\d{4}-\d{2}-\d{2} +\d+:\d{2}", say("env", "TZ=UTC", "mdir", "-/", "-i", image, "::"))
    assert set(times) == {"2023-11-14  22:13"}


def test_nothing_is_left_beside_the_image(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    made(boot_files(tmp_path), tmp_path / "out" / "esp.img")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["esp.img"]


def test_no_files_make_an_empty_file_system(tmp_path: Path) -> None:
    assert subprocess.run(["fsck.vfat", "-n", made([], tmp_path / "esp.img")], check=False).returncode == 0


@pytest.mark.parametrize(
    ("sizes", "needed"),
    [([], 33 * MIB), ([20 * MIB], 33 * MIB), ([40 * MIB], 41 * MIB), ([150 * MIB, 150 * MIB], 301 * MIB)],
)
def test_the_size_needed_is_the_content_and_the_tables(tmp_path: Path, sizes: list[int], needed: int) -> None:
    files = []
    for index, size in enumerate(sizes):
        path = tmp_path / str(index)
        with path.open("wb") as stream:
            stream.truncate(size)
        files.append(esp_file(f"EFI/Linux/{index}.efi", path))
    assert size_needed(files) == needed


@pytest.mark.parametrize("size", [33 * MIB, 259 * MIB, 260 * MIB, 1 * GIB, 9 * GIB])
def test_every_size_makes_a_fat32_with_enough_clusters(tmp_path: Path, size: int) -> None:
    image = made([esp_file("a", b"a")], tmp_path / "esp.img", size)
    said = subprocess.run(["fsck.vfat", "-n", "-v", image], check=False, capture_output=True, text=True).stdout
    clusters = re.search(r"(\d+) data clusters|/(\d+) clusters", said)
    assert clusters is not None
    assert int(clusters[1] or clusters[2]) >= 65525
    assert f"{cluster_size(size)} bytes per cluster" in said
    assert image.stat().st_blocks * 512 <= 16 * MIB


def test_files_that_just_fit_fit(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (35 * MIB // 256 - 3))
    files = [esp_file("EFI/Linux/kernel.efi", large), *(esp_file(f"a/b/{number}", b"x") for number in range(100))]
    made(files, tmp_path / "esp.img", size_needed(files))


def test_files_that_do_not_fit_are_the_user_s_error(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(40 * MIB)
    with pytest.raises(DiskTooSmallError, match="the partition ESP has 33MiB, but its files need 41MiB"):
        made([esp_file("large", large)], tmp_path / "esp.img", 33 * MIB)


def test_a_file_that_no_fat_can_hold_is_named(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as stream:
        stream.truncate(4 * GIB)
    with pytest.raises(DiskError) as raised:
        size_needed([esp_file("huge", huge)])
    assert raised.value.code == "DISK_FILE_TOO_LARGE"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="nowhere") as raised:
        made([esp_file("a", tmp_path / "nowhere")], tmp_path / "esp.img")
    assert raised.value.code == "DISK_FILE_UNREADABLE"


@given(size=st.integers(33, 20 * 1024).map(lambda mib: mib * MIB))
def test_clusters_are_never_too_few_for_a_fat32_nor_needlessly_many(size: int) -> None:
    clusters = size // (cluster_size(size) + 8)
    assert 65525 <= clusters < 2_200_000
