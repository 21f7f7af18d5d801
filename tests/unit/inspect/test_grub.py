"""Boot loaders are recognised by what is on the disk, and grub.cfg is read as GRUB reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.inspect.grub import boot_loader, firmware, read_configuration
from image_composer.inspect.model import GrubFound, PartitionFound

UPDATE_GRUB = """\
### BEGIN /etc/grub.d/10_linux ###
function gfxmode {
	set gfxpayload="${1}"
}
menuentry 'debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	load_video
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt2 1
	echo	'Loading Linux 6.12.1-amd64 ...'
	linux	/boot/vmlinuz-6.12.1-amd64 root=PARTUUID=2 ro 'a=b c' quiet
	initrd	/boot/initrd.img-6.12.1-amd64
}
menuentry 'old' {
	linux	/boot/vmlinuz-6.1.1-amd64 root=PARTUUID=2 ro
}
"""


def partition(role: str | None) -> PartitionFound:
    return PartitionFound(number=1, label="", type="", role=role, uuid=None, start=0, size=0, filesystem=None)


def test_what_grub_starts_by_itself_is_the_first_entry() -> None:
    assert read_configuration("/boot/grub/grub.cfg", UPDATE_GRUB) == GrubFound(
        path="/boot/grub/grub.cfg",
        kernel="/boot/vmlinuz-6.12.1-amd64",
        initrd="/boot/initrd.img-6.12.1-amd64",
        kernel_version="6.12.1-amd64",
        command_line='root=PARTUUID=2 ro "a=b c" quiet',
    )


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_configuration("grub.cfg", text)


@given(st.text())
def test_any_arguments_can_be_read(text: str) -> None:
    read_configuration("grub.cfg", f"linux {text}")


GRUB = read_configuration("/boot/grub/grub.cfg", "")
MBR = bytes(0x180) + b"GRUB \0"


@pytest.mark.parametrize(
    ("files", "grub", "expected"),
    [
        (["/EFI/BOOT/BOOTX64.EFI", "/EFI/systemd/systemd-bootx64.efi"], None, "systemd-boot"),
        (["/EFI/BOOT/BOOTX64.EFI", "/EFI/debian/grubx64.efi"], GRUB, "grub"),
        ([], GRUB, "grub"),
        (["/EFI/BOOT/BOOTX64.EFI"], None, None),
    ],
)
def test_a_boot_loader_is_known_by_its_files(files: list[str], grub: GrubFound | None, expected: str | None) -> None:
    assert boot_loader(files, grub) == expected


@pytest.mark.parametrize(
    ("files", "sector", "roles", "expected"),
    [
        (["/efi/boot/bootaa64.efi"], bytes(512), ["esp", None], ["uefi"]),
        (["/EFI/BOOT/BOOTX64.EFI"], MBR, ["bios-boot", "esp"], ["uefi", "bios"]),
        ([], MBR, ["bios-boot"], ["bios"]),
        ([], MBR, ["root"], []),
        (["/EFI/Linux/x.efi"], bytes(512), ["bios-boot"], []),
    ],
)
def test_firmware_is_known_by_what_it_would_start(
    files: list[str], sector: bytes, roles: list[str | None], expected: list[str]
) -> None:
    assert firmware(files, sector, [partition(role) for role in roles]) == expected
