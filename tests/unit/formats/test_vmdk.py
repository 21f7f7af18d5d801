"""The descriptor of a VMDK, as qemu-img leaves it."""

import pytest

from image_composer.formats.vmdk import with_content_id

SIZE = 1024


def text(content_id: str) -> bytes:
    return f'# Disk DescriptorFile\nversion=1\nCID={content_id}\nparentCID=ffffffff\nddb.toolsVersion = "1"\n'.encode()


def left_by_qemu(first: str, second: str) -> bytes:
    """Give what qemu-img writes: the text with the id drawn second, over the text with the first."""
    return (text(second) + b"\0" + text(first)[len(text(second)) + 1 :]).ljust(SIZE, b"\0")


@pytest.mark.parametrize(
    ("first", "second"), [("64a92292", "549a8ead"), ("1", "12345678"), ("12345678", "82154b"), ("12345678", "1")]
)
def test_whatever_ids_were_drawn_the_descriptor_is_the_same(first: str, second: str) -> None:
    assert with_content_id(left_by_qemu(first, second), 0xABCDEF) == text("00abcdef").ljust(SIZE, b"\0")


@pytest.mark.parametrize("descriptor", [b"", b"\0" * SIZE, b"\0" + text("1"), text("1") + text("2"), text("1")])
def test_a_descriptor_that_has_not_one_id_or_no_room_is_none(descriptor: bytes) -> None:
    assert with_content_id(descriptor, 1) is None
