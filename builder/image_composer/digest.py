"""The one place that hashes: files, streams and JSON documents, always SHA-256 in lower-case hex."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file's content. Releases the GIL while it hashes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def blanked_sha256(path: Path, offset: int, size: int) -> str:
    """Give the SHA-256 that a file would have with zeros in one place, whatever is there."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for stop, is_blank in ((offset, False), (offset + size, True), (path.stat().st_size, False)):
            while (length := min(stop - stream.tell(), _CHUNK)) > 0:
                content = stream.read(length)
                digest.update(bytes(len(content)) if is_blank else content)
    return digest.hexdigest()


def bytes_sha256(content: bytes) -> str:
    """Give the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def json_sha256(document: Any) -> str:
    """Give the SHA-256 of a JSON document in its canonical form: sorted keys, no white space, UTF-8."""
    return bytes_sha256(canonical_json(document))


def canonical_json(document: Any) -> bytes:
    """Give the one byte sequence that stands for a JSON document when it is hashed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pretty_json(document: Any) -> str:
    """Give the form in which documents are written to files: stable, indented, with a final newline."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
