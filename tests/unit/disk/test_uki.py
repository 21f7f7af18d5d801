import contextlib
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.digest import file_sha256
from image_composer.disk.pe import PeFormatError, read_pe_headers, read_pe_sections
from image_composer.disk.uki import PAGE, UkiSections, plan_uki, write_uki
from image_composer.errors import DiskError
from support.pe import make_stub

SYSTEMD_STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")

STUBS = [
    pytest.param(make_stub(image_base=0, section_alignment=0x200), id="image base 0, as systemd 252"),
    pytest.param(make_stub(image_base=0x14DF90000, section_alignment=0x1000), id="image base high, as systemd 257"),
    pytest.param(make_stub(section_alignment=0x1000, trailing=b"symbols and a signature"), id="with a tail"),
]
if SYSTEMD_STUB.exists():
    STUBS.append(pytest.param(SYSTEMD_STUB.read_bytes(), id="this machine's"))


def uki_sections(folder: Path) -> UkiSections:
    kernel, initrd = folder / "vmlinuz", folder / "initrd"
    kernel.write_bytes(b"MZ kernel" * 3001)
    initrd.write_bytes(b"070701 initrd" * 7001)
    return UkiSections(
        os_release=b'ID=test\nPRETTY_NAME="Test"\n',
        command_line="root=PARTUUID=1 console=ttyS0",
        kernel_release="6.1.0-test",
        kernel=kernel,
        initrd=initrd,
    )


def written(folder: Path, stub: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    write_uki(folder / "linux.efi", stub, uki_sections(folder))
    return folder / "linux.efi"


@pytest.mark.parametrize("stub", STUBS)
def test_everything_put_in_is_read_back(tmp_path: Path, stub: bytes) -> None:
    read = read_pe_sections(written(tmp_path, stub).read_bytes())
    assert read[".osrel"] == b'ID=test\nPRETTY_NAME="Test"\n'
    assert read[".cmdline"] == b"root=PARTUUID=1 console=ttyS0"
    assert read[".uname"] == b"6.1.0-test"
    assert read[".linux"] == b"MZ kernel" * 3001
    assert read[".initrd"] == b"070701 initrd" * 7001
    for name, content in read_pe_sections(stub).items():
        assert read[name] == content


@pytest.mark.parametrize("stub", STUBS)
def test_sections_lie_one_behind_the_other_in_pages_of_their_own(tmp_path: Path, stub: bytes) -> None:
    image = written(tmp_path, stub)
    content = image.read_bytes()
    headers = read_pe_headers(content)
    address = offset = 0
    for section in headers.sections:
        assert section.virtual_address >= address
        assert section.raw_offset >= offset
        assert section.raw_offset % headers.file_alignment == 0
        address, offset = section.virtual_address + section.virtual_size, section.raw_offset + section.raw_size
    added = headers.sections[len(read_pe_headers(stub).sections) :]
    assert [section.name for section in added] == [".osrel", ".cmdline", ".uname", ".initrd", ".linux"]
    assert all(section.virtual_address % PAGE == 0 for section in added)
    assert headers.section_table_end <= headers.size_of_headers
    assert len(content) == offset
    (size_of_image,) = struct.unpack_from("<I", content, headers.optional_header + 56)
    assert size_of_image >= address
    assert size_of_image % headers.section_alignment == 0


@pytest.mark.parametrize("stub", STUBS)
def test_time_checksum_symbols_and_signature_are_gone(tmp_path: Path, stub: bytes) -> None:
    content = written(tmp_path, stub).read_bytes()
    headers = read_pe_headers(content)
    assert struct.unpack_from("<III", content, headers.pe_offset + 8) == (0, 0, 0)
    assert struct.unpack_from("<I", content, headers.optional_header + 64) == (0,)
    assert struct.unpack_from("<II", content, headers.optional_header + 112 + 32) == (0, 0)


@pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump")
@pytest.mark.parametrize("stub", STUBS)
def test_binutils_read_the_same_sections(tmp_path: Path, stub: bytes) -> None:
    image = written(tmp_path, stub)
    said = subprocess.run(["objdump", "-h", image], check=True, capture_output=True, text=True).stdout
    (image_base,) = struct.unpack_from("<Q", stub, read_pe_headers(stub).optional_header + 24)
    theirs = [
        (name, int(address, 16) - image_base, int(offset, 16))
        for name, address, offset in re.findall(r"^ +\d+ (\S+) +\w+ +(\w+) +\w+ +(\w+) ", said, re.MULTILINE)
    ]
    ours = [
        (section.name, section.virtual_address, section.raw_offset)
        for section in read_pe_headers(image.read_bytes()).sections
    ]
    assert theirs == ours


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    stub = make_stub()
    first, second = written(tmp_path / "one", stub), written(tmp_path / "two", stub)
    assert file_sha256(first) == file_sha256(second)


def test_a_splash_is_put_in_when_given(tmp_path: Path) -> None:
    sections = uki_sections(tmp_path)
    with_splash = UkiSections(
        sections.os_release,
        sections.command_line,
        sections.kernel_release,
        sections.kernel,
        sections.initrd,
        splash=b"BM",
    )
    write_uki(tmp_path / "linux.efi", make_stub(), with_splash)
    assert read_pe_sections((tmp_path / "linux.efi").read_bytes())[".splash"] == b"BM"


def broken(stub: bytes, offset: int, content: bytes) -> bytes:
    return stub[:offset] + content + stub[offset + len(content) :]


@pytest.mark.parametrize(
    ("stub", "code", "message"),
    [
        pytest.param(b"", "UKI_STUB_INVALID", "begin with MZ", id="empty"),
        pytest.param(b"\x7fELF" + bytes(1000), "UKI_STUB_INVALID", "begin with MZ", id="ELF"),
        pytest.param(b"MZ" + bytes(20), "UKI_STUB_INVALID", "too short", id="short"),
        pytest.param(b"MZ" + bytes(1000), "UKI_STUB_INVALID", "no PE header", id="DOS"),
        pytest.param(broken(make_stub(), 0x98, b"\x0b\x01"), "UKI_STUB_INVALID", "PE32+", id="32 bit"),
        pytest.param(broken(make_stub(), 0x98 + 32, bytes(4)), "UKI_STUB_INVALID", "no sense", id="alignment 0"),
        pytest.param(make_stub()[:0x500], "UKI_STUB_INVALID", "cut off", id="cut"),
        pytest.param(make_stub(names=[]), "UKI_STUB_INVALID", "no sections", id="no sections"),
        pytest.param(make_stub(names=[".text", ".linux"]), "UKI_STUB_INVALID", ".linux already", id="a UKI"),
        pytest.param(make_stub(names=[f".s{n}" for n in range(12)]), "UKI_STUB_FULL", "room for 1024", id="full"),
    ],
)
def test_a_stub_that_can_t_be_used_is_explained(tmp_path: Path, stub: bytes, code: str, message: str) -> None:
    with pytest.raises(DiskError) as raised:
        written(tmp_path, stub)
    assert raised.value.code == code
    assert message in raised.value.message


def test_an_image_larger_than_the_format_allows_is_refused() -> None:
    with pytest.raises(DiskError) as raised:
        plan_uki(make_stub(), [(".initrd", 2**32 - 2**20), (".linux", 2**20)])
    assert raised.value.code == "UKI_TOO_LARGE"


def test_a_missing_kernel_is_named(tmp_path: Path) -> None:
    sections = uki_sections(tmp_path)
    sections.kernel.unlink()
    with pytest.raises(DiskError, match="vmlinuz"):
        write_uki(tmp_path / "linux.efi", make_stub(), sections)


def test_large_files_are_not_held_in_memory(tmp_path: Path) -> None:
    """Writes 300 MiB in a process that may not have more than 150 MiB beyond what Python itself needs."""
    (tmp_path / "stub").write_bytes(make_stub())
    with (tmp_path / "initrd").open("wb") as stream:
        stream.truncate(300 << 20)
    program = """
import resource, sys
from pathlib import Path
from image_composer.disk.uki import UkiSections, write_uki
folder = Path(sys.argv[1])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (150 << 20),) * 2)
sections = UkiSections(b"", "", "", folder / "stub", folder / "initrd")
write_uki(folder / "linux.efi", (folder / "stub").read_bytes(), sections)
"""
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, timeout=60)
    assert (tmp_path / "linux.efi").stat().st_size > 300 << 20


@given(content=st.binary(max_size=600) | st.binary(max_size=300).map(lambda tail: make_stub()[:0x98] + tail))
def test_any_bytes_are_read_or_refused_but_never_crash(content: bytes) -> None:
    with contextlib.suppress(PeFormatError):
        read_pe_sections(content)
