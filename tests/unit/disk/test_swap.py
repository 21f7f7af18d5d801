"""Swap space is what the system's own programs take for it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from image_composer.disk.swap import PAGE, make_swap, swap_header, swap_pages
from image_composer.settings import MIB
from support.disks import say

UUID_OF_IT = UUID("12345678-1234-5678-9abc-def012345678")


def test_programs_find_swap_space_with_its_ids(tmp_path: Path) -> None:
    image = tmp_path / "swap"
    make_swap(image, 8 * MIB, uuid=UUID_OF_IT, label="more-memory")
    found = dict(line.split("=", 1) for line in say("blkid", "-p", "-o", "export", image).splitlines())
    assert (found["TYPE"], found["UUID"], found["LABEL"]) == ("swap", str(UUID_OF_IT), "more-memory")
    assert image.stat().st_blocks * 512 <= 4 * PAGE


def test_it_is_what_mkswap_makes(tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    peer.write_bytes(bytes(MIB))
    peer.chmod(0o600)
    say("mkswap", "--uuid", str(UUID_OF_IT), "--label", "a", peer)
    assert peer.read_bytes()[:PAGE] == swap_header(MIB, uuid=UUID_OF_IT, label="a")


def test_a_header_that_was_written_over_is_none() -> None:
    header = swap_header(MIB, uuid=UUID_OF_IT, label="")
    assert swap_pages(header) == MIB // PAGE
    assert [swap_pages(broken) for broken in (bytes(PAGE), header[:-1], header[:1024] + b"\7" + header[1025:])] == [
        None,
        None,
        None,
    ]
