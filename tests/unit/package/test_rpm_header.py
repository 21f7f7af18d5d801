from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import RepositoryError
from image_composer.package.rpm_header import RpmHeader, build_times, check_identity, read_header, read_package
from support.rawrpms import RawRpm, minimal
from support.rpmbuild import EPOCH, Rpm, make_rpm

TOOL = Rpm(
    "tool",
    version="2.1~rc1",
    release="3.azl3",
    epoch=1,
    license="GPLv2+ and MIT",
    tags={"Vendor": "Acme", "Packager": "Ann Other <ann@acme.example>", "URL": "https://acme.example/tool"},
    files={"usr/bin/tool": "#!/bin/sh\n"},
)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rpm(TOOL, tmp_path_factory.mktemp("tool"))


def test_a_package_says_what_its_spec_file_says(tool: Path) -> None:
    assert read_header(tool, "tool") == RpmHeader(
        name="tool",
        epoch=1,
        version="2.1~rc1",
        release="3.azl3",
        architecture="noarch",
        build_time=int(EPOCH),
        source_rpm="tool-2.1~rc1-3.azl3.src.rpm",
        license="GPLv2+ and MIT",
        vendor="Acme",
        packager="Ann Other <ann@acme.example>",
        url="https://acme.example/tool",
        summary="tool for tests",
    )


def test_what_a_package_does_not_say_is_none(tmp_path: Path) -> None:
    header = read_header(RawRpm(minimal()).write(tmp_path), "raw")
    assert (header.epoch, header.vendor, header.url, header.build_time) == (None, None, None, None)
    assert header.evr == "1.0-1"


def test_a_package_of_sources_is_none_for_the_machine(tmp_path: Path) -> None:
    assert read_header(RawRpm(minimal(source=None)).write(tmp_path), "raw").architecture == "src"


def test_build_times_are_those_of_the_packages_that_have_one(tool: Path, tmp_path: Path) -> None:
    assert list(build_times([tool, RawRpm(minimal()).write(tmp_path)])) == [int(EPOCH)]


def test_a_package_is_taken_for_what_it_is(tool: Path) -> None:
    check_identity(read_header(tool, "tool"), "tool", "1:2.1~rc1-3.azl3", "noarch", "repository base: tool")


def test_an_epoch_of_nought_is_none(tmp_path: Path) -> None:
    header = read_header(RawRpm(minimal(epoch=0)).write(tmp_path), "raw")
    check_identity(header, "raw", "1.0-1", "noarch", "raw")
    check_identity(header, "raw", "0:1.0-1", "noarch", "raw")


@pytest.mark.parametrize(
    ("name", "evr", "architecture"),
    [
        ("other", "1:2.1~rc1-3.azl3", "noarch"),
        ("tool", "2.1~rc1-3.azl3", "noarch"),
        ("tool", "1:2.1~rc1-4.azl3", "noarch"),
        ("tool", "1:2.1~rc1-3.azl3", "x86_64"),
    ],
)
def test_a_package_is_not_passed_off_as_another(tool: Path, name: str, evr: str, architecture: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        check_identity(read_header(tool, "tool"), name, evr, architecture, "repository base: package wanted")
    assert caught.value.code == "REPO_PACKAGE_MISMATCH"
    assert caught.value.message.startswith("repository base: package wanted is in truth the package tool-1:2.1~rc1-3")
    assert f"{name}-{evr}.{architecture}" in caught.value.message


def malformed(file: Path) -> str:
    with pytest.raises(RepositoryError) as caught:
        read_package(file, "repository base: package raw")
    assert caught.value.code == "REPO_MALFORMED"
    assert caught.value.message.startswith("repository base: package raw is not an rpm package that can be read: ")
    return caught.value.message


@pytest.mark.parametrize(
    "content", [b"", b"!<arch>\ndebian-binary", b"\xed\xab\xee\xdb\x03", b"\xed\xab\xee\xdb\x02" * 50]
)
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "raw.rpm"
    file.write_bytes(content)
    malformed(file)


@pytest.mark.parametrize("tag", ["name", "version", "release", "architecture"])
def test_a_package_without_a_name_or_version_is_refused(tmp_path: Path, tag: str) -> None:
    malformed(RawRpm(minimal(**{tag: None})).write(tmp_path))
    malformed(RawRpm(minimal(**{tag: ""})).write(tmp_path))
    malformed(RawRpm(minimal(**{tag: 7})).write(tmp_path))


def test_several_payload_digests_are_refused(tmp_path: Path) -> None:
    assert "several payloads" in malformed(RawRpm(minimal(digest=["0" * 64, "1" * 64])).write(tmp_path))


@pytest.mark.parametrize(("count", "size"), [(0xFFFFFFFF, 64), (2, 0xFFFFFFFF), (0, 64), (1, 0), (0x10000, 64)])
@pytest.mark.parametrize("main", [False, True])
def test_sizes_are_checked_before_anything_is_read(tmp_path: Path, count: int, size: int, main: bool) -> None:
    file = RawRpm(minimal()).write(tmp_path)
    content = bytearray(file.read_bytes())
    place = 96 + (48 if main else 0)  # an empty header is an intro, an entry for the region and its trailer
    struct.pack_into(">II", content, place + 8, count, size)
    file.write_bytes(content)
    malformed(file)


def test_what_a_signature_would_not_cover_is_refused(tmp_path: Path) -> None:
    """An entry beside the immutable region is not signed, though rpm's lookups would find it."""
    rpm = RawRpm(minimal())
    whole = rpm.header()
    count, size = struct.unpack_from(">II", whole, 8)
    smuggled = struct.pack(">4I", 1011, 6, size, 1)
    changed = whole[:8] + struct.pack(">II", count + 1, size + 5) + whole[16 : 16 + 16 * count] + smuggled
    changed += whole[16 + 16 * count :] + b"evil\0"
    file = rpm.write(tmp_path)
    file.write_bytes(file.read_bytes().replace(whole, changed))
    assert "not covered" in malformed(file)


@given(st.data())
def test_a_damaged_package_is_read_or_refused(tool: Path, data: st.DataObject) -> None:
    whole = tool.read_bytes()
    headers = read_package(tool, "tool")[1].payload_start
    damaged = bytearray(whole[:headers])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, headers - 4))
        value = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([0xFFFFFFFF, 0x7FFFFFFF, 0x10000, 0])))
        width = 1 if value < 256 else 4
        damaged[place : place + width] = value.to_bytes(width, "big")
    file = tool.with_name("damaged.rpm")
    file.write_bytes(damaged[: data.draw(st.one_of(st.just(headers), st.integers(0, headers)))])
    try:
        read_package(file, "tool")
    except RepositoryError as error:
        assert error.code == "REPO_MALFORMED"  # noqa: PT017 - or none at all
