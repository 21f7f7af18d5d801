from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from image_composer.disk.uki import UkiSections, write_uki
from support.pe import make_program, make_stub

MIB = 1024 * 1024
ESP_START, ESP_SIZE, ROOT_START, ROOT_SIZE = 1 * MIB, 4 * MIB, 5 * MIB, 8 * MIB

TABLE = f"""\
label: gpt
label-id: 11111111-2222-3333-4444-555555555555
start={ESP_START // 512}, size={ESP_SIZE // 512}, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, name=esp
start={ROOT_START // 512}, size={ROOT_SIZE // 512}, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root
"""

STATUS = """\
Package: openssh-server
Status: install ok installed
Architecture: amd64
Version: 1:9.2p1-2+deb12u5
Conffiles:
 /etc/default/ssh 0

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134
"""

FILES = {
    "usr/lib/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n# comment\nID=debian\nBROKEN="\n',
    "etc/hostname": "edge\n",
    "etc/fstab": "# made by hand\nLABEL=root  /  ext4 defaults 0 1\n\n",
    "var/lib/dpkg/status": STATUS,
    "usr/lib/modules/6.1.0-1-amd64/modules.dep": "",
}


def tool(*argv: str | Path, stdin: str | None = None) -> None:
    subprocess.run(list(map(str, argv)), input=stdin, text=True, check=True, capture_output=True, timeout=60)


def make_root(tree: Path) -> Path:
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    return tree


def make_image(folder: Path, name: str) -> Path:
    image, esp, uki = folder / name, folder / "esp.fat", folder / "edge 1.efi"
    for part in ("kernel", "initrd"):
        (folder / part).write_text(part)
    sections = UkiSections(
        os_release=b"ID=debian\n",
        command_line="root=LABEL=root console=ttyS0",
        kernel_release="6.1.0-1-amd64",
        kernel=folder / "kernel",
        initrd=folder / "initrd",
    )
    write_uki(uki, make_stub(), sections)
    with esp.open("wb") as stream:
        stream.truncate(ESP_SIZE)
    loader = folder / "loader.efi"
    loader.write_bytes(make_program())
    tool("mkfs.vfat", "-n", "ESP", esp)
    tool("mmd", "-i", esp, "::EFI", "::EFI/BOOT", "::EFI/Linux")
    tool("mcopy", "-i", esp, loader, "::EFI/BOOT/BOOTX64.EFI")
    tool("mcopy", "-i", esp, uki, "::EFI/Linux/edge 1.efi")
    with image.open("wb") as stream:
        stream.truncate(14 * MIB)
        stream.seek(ESP_START)
        stream.write(esp.read_bytes())
    tool("sfdisk", "--quiet", image, stdin=TABLE)
    tree = make_root(folder / "root")
    tool("mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", f"offset={ROOT_START}", image, f"{ROOT_SIZE // 1024}k")
    return image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image whose name is full of what tools take for syntax."""
    return make_image(tmp_path_factory.mktemp("image"), "edge?offset=1 @@2,x.raw")
