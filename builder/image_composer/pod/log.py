"""The build log of a pod: joined of what its containers printed, and put beside what they published."""

from __future__ import annotations

from pathlib import Path

from image_composer.publish.s3_client import Haste, opened_client
from image_composer.settings import MIB, Settings
from image_composer.spec.destination import S3Destination
from image_composer.spec.location import object_uri

LARGEST = 16 * MIB
"""Bytes of a log that are uploaded: the end counts most."""

CONTENT_TYPE = "text/plain; charset=utf-8"

BRIEF = Haste(connect_seconds=3, read_seconds=6, tries=2)
"""The pod ends meanwhile."""


def joined_log(folder: Path, most: int = LARGEST) -> bytes:
    """Give the logs of a folder in the order of their names, of which the last bytes count."""
    pieces: list[bytes] = []
    left, cut = most, 0
    for file in sorted(folder.glob("*.log"), reverse=True):
        if file.is_symlink() or not file.is_file():
            continue
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            taken = min(left, size)
            stream.seek(size - taken)
            pieces.insert(0, stream.read(taken))
        left, cut = left - taken, cut + size - taken
    text = b"".join(pieces)
    if cut:
        start = text.find(b"\n") + 1  # the line that the cut goes through
        return f"[the first {cut + start} bytes are left out]\n".encode() + text[start:]
    return text


def upload_log(content: bytes, place: S3Destination, folder: str, attempt: str, settings: Settings) -> str:
    """Upload a log and give its URI.

    Raises:
        BotoCoreError, ClientError, PublishError: it was not possible.
    """
    key = f"{folder}logs/{attempt}.log"
    with opened_client(place, settings, haste=BRIEF) as client:
        client.put_object(Bucket=place.bucket, Key=key, Body=content, ContentType=CONTENT_TYPE)
    return object_uri(place, key)
