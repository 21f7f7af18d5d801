"""What certificates say about their keys: when each expires, and whether it was revoked.

gpgv judges keys by the machine's clock and mixes what it prints about the keys of one certificate; of a key that was
revoked and has expired it only says that it has expired. Whoever asks about another moment must read the certificate.
RFC 9580, sections 4.2 (packets), 5.2.3 (signatures) and 5.5.2 (keys), versions 3 and 4 as gpgv 2.2 takes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

SIGNATURE, PUBLIC_KEY, PUBLIC_SUBKEY = 2, 6, 14
"""Types of packets."""

ABOUT_USER = frozenset({0x10, 0x11, 0x12, 0x13})
DIRECT, BINDING = 0x1F, 0x18
REVOCATIONS = frozenset({0x20, 0x28})
"""Types of signatures; what revokes a user or another's signature is of no interest."""

MADE, EXPIRES_AFTER, ISSUER, ISSUER_FINGERPRINT = 2, 9, 16, 33
"""Types of signature subpackets."""


@dataclass(frozen=True, slots=True)
class KeyLife:
    """How long a key counts; a subkey no longer than its primary key."""

    expires: int | None
    """Seconds since 1970."""

    revoked: bool


def key_lives(ring: bytes) -> dict[str, KeyLife]:
    """Give the life of every key of a keyring by its fingerprint, in upper-case hex.

    Signatures are not verified here, so this never makes a key better than gpgv says: use it on keys that are trusted,
    beside gpgv's verdict. What can't be read ends the list.
    """
    lives: dict[str, KeyLife] = {}
    primary = KeyLife(None, revoked=False)
    for key in _keys(ring):
        life = key.life()
        if key.subkey:
            ends = [expires for expires in (life.expires, primary.expires) if expires is not None]
            life = KeyLife(min(ends, default=None), life.revoked or primary.revoked)
        else:
            primary = life
        lives[key.fingerprint] = life
    return lives


@dataclass(slots=True)
class _Key:
    body: bytes
    subkey: bool
    revoked: bool = False
    said: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By rank of the kind of signature: when the newest was made, and how many seconds the key lives by it."""

    @property
    def fingerprint(self) -> str:
        framed = b"\x99" + len(self.body).to_bytes(2, "big") + self.body
        return hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()

    def life(self) -> KeyLife:
        """What is said of the key itself counts before what is said of it together with a user."""
        seconds = next((self.said[rank][1] for rank in (0, 1) if rank in self.said and self.said[rank][1]), 0)
        return KeyLife(int.from_bytes(self.body[1:5], "big") + seconds if seconds else None, self.revoked)

    def hear(self, kind: int, subpackets: dict[int, bytes], primary: str) -> None:
        """Take in what a signature that follows the key says."""
        if kind in REVOCATIONS:
            self.revoked = True
        if kind not in ({BINDING} if self.subkey else ABOUT_USER | {DIRECT}):
            return
        issuer = subpackets.get(ISSUER_FINGERPRINT, b"")[1:] or subpackets.get(ISSUER, b"")
        if not primary.endswith(issuer.hex().upper()):
            return  # a stranger's: it vouches for a user and says nothing of the key
        made = int.from_bytes(subpackets.get(MADE, b""), "big")
        rank = 1 if kind in ABOUT_USER else 0
        if rank not in self.said or made >= self.said[rank][0]:
            self.said[rank] = made, int.from_bytes(subpackets.get(EXPIRES_AFTER, b""), "big")


def _keys(ring: bytes) -> Iterator[_Key]:
    key: _Key | None = None
    primary = ""
    for kind, body, _ in packets(ring):
        if kind in {PUBLIC_KEY, PUBLIC_SUBKEY}:
            if key is not None:
                yield key
            key = _Key(body, subkey=kind == PUBLIC_SUBKEY)
            primary = primary if key.subkey else key.fingerprint
        elif kind == SIGNATURE and key is not None and len(body) > 6 and body[0] == 4:
            key.hear(body[1], _subpackets(body), primary)
    if key is not None:
        yield key


class Packet(NamedTuple):
    """An OpenPGP packet."""

    kind: int
    body: bytes
    end: int
    """Where the next one starts."""


def packets(ring: bytes) -> Iterator[Packet]:
    """Give each OpenPGP packet, up to where there is none."""
    place = 0
    while place + 1 < len(ring) and ring[place] & 0x80:
        header = ring[place]
        if header & 0x40:
            kind = header & 0x3F
            length, start = _new_length(ring, place + 1)
        else:
            kind = header >> 2 & 0x0F
            octets = (1, 2, 4, 0)[header & 3]
            start = place + 1 + octets
            length = int.from_bytes(ring[place + 1 : start], "big") if octets else len(ring) - start
        place = start + length
        yield Packet(kind, ring[start:place], place)


def _new_length(ring: bytes, place: int) -> tuple[int, int]:
    """Give a length in the newer form, and where what it is about starts."""
    first = ring[place]
    if first < 192:
        return first, place + 1
    if first < 224:
        return (first - 192 << 8) + int.from_bytes(ring[place + 1 : place + 2], "big") + 192, place + 2
    if first == 255:
        return int.from_bytes(ring[place + 1 : place + 5], "big"), place + 5
    return len(ring), place + 1  # in parts, as no key and no signature may be


def _subpackets(body: bytes) -> dict[int, bytes]:
    """Give a signature's subpackets; those that are signed win over those that are not."""
    signed_end = 6 + int.from_bytes(body[4:6], "big")
    open_end = signed_end + 2 + int.from_bytes(body[signed_end : signed_end + 2], "big")
    unsigned = {key: value for key, value in _split(body[signed_end + 2 : open_end]) if key == ISSUER}
    return unsigned | dict(_split(body[6:signed_end]))


def _split(area: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(area):
        first = area[place]
        if first < 192:
            length, place = first, place + 1
        elif first < 255:
            length, place = (first - 192 << 8) + int.from_bytes(area[place + 1 : place + 2], "big") + 192, place + 2
        else:
            length, place = int.from_bytes(area[place + 1 : place + 5], "big"), place + 5
        if length:
            yield area[place] & 0x7F if place < len(area) else 0, area[place + 1 : place + length]
        place += length
