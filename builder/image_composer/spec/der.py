"""Reads DER, the form of certificates and signatures: just enough to find one's way in them (X.690, 8.1 and 10)."""

from __future__ import annotations

from dataclasses import dataclass

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_ID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31

BMP_STRING = 0x1E
"""The one kind of text that isn't read as UTF-8 or a part of it."""

_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F


class DerError(ValueError):
    """The bytes are not DER, or not what was expected."""


@dataclass(frozen=True, slots=True)
class Element:
    """One value."""

    tag: int
    whole: bytes
    """With tag and length."""

    content: bytes

    def children(self) -> list[Element]:
        """Give the values that it is made of.

        Raises:
            DerError: it isn't made of values.
        """
        if not self.tag & _CONSTRUCTED:
            raise DerError("a single value where a sequence should be")
        return elements(self.content)

    def expect(self, tag: int) -> Element:
        """Give it back when it has a tag.

        Raises:
            DerError: it has another one.
        """
        if self.tag != tag:
            raise DerError(f"a value with tag {self.tag:#04x} where {tag:#04x} should be")
        return self


def element(content: bytes, *, trailing: bool = False) -> Element:
    """Read one value.

    Args:
        content: bytes that begin with it.
        trailing: whether something may follow.

    Raises:
        DerError: there is none, or something follows.
    """
    if len(content) < 2:
        raise DerError("it is cut off")
    tag, length, start = content[0], content[1], 2
    if tag & _LONG_TAG == _LONG_TAG:
        raise DerError("a tag of several bytes")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise DerError("a length that DER doesn't have")
        start += count
        length = int.from_bytes(content[2:start], "big")
    end = start + length
    if end > len(content) or (end < len(content) and not trailing):
        raise DerError("its length is wrong")
    return Element(tag, content[:end], content[start:end])


def elements(content: bytes) -> list[Element]:
    """Read values that follow each other.

    Raises:
        DerError: the bytes are something else.
    """
    found = []
    while content:
        found.append(element(content, trailing=True))
        content = content[len(found[-1].whole) :]
    return found


def object_id(identifier: Element) -> str:
    """Give an object identifier as people write it, for example `2.5.4.3`.

    Raises:
        DerError: it is none.
    """
    content = identifier.expect(OBJECT_ID).content
    if not content or content[-1] & 0x80:
        raise DerError("an object identifier that is cut off")
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))
