"""Signatures of repositories: gpgv judges them against the repository's own keys and no others.

Only what was signed is given back. Text around a signed message never reaches a parser.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_composer.errors import RepositoryError
from image_composer.repository.certificate import key_lives
from image_composer.repository.gpgv_status import UNSIGNED_HINT, Moment, judge
from image_composer.repository.keyring import keyring
from image_composer.run import Runner

CLEARSIGNED = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:Hash: [^\r\n]*\r?\n)*\r?\n"
    rb"(?:(?!-----)[^\n]*\n)*"
    rb"-----BEGIN PGP SIGNATURE-----\r?\n"
    rb"(?:(?!-----)[^\n]*\n)*"
    rb"-----END PGP SIGNATURE-----\s*"
)
"""One signed message and nothing else: RFC 9580, section 7. Lines of the text that start with a dash are escaped, so
none of them can look like a marker."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A text whose signature was found valid."""

    content: bytes
    """Exactly what was signed."""

    fingerprints: tuple[str, ...]
    """Primary keys whose valid signature was found, sorted."""


def verify_clearsigned(
    document: bytes, keys: Sequence[bytes], *, runner: Runner, repository: str, name: str = "InRelease"
) -> Signed:
    """Verify a text that carries its signature.

    Args:
        document: the whole file.
        keys: certificates that are trusted for it, armoured or binary.
        runner: runs gpgv.
        repository: id, for messages.
        name: the file's name, for messages.

    Raises:
        RepositoryError: REPO_UNSIGNED, REPO_KEY_UNKNOWN, REPO_KEY_EXPIRED, REPO_KEY_REVOKED, REPO_KEY_INVALID,
            REPO_SIGNATURE_INVALID.
    """
    what = f"repository {repository}: {name}"
    if b"-----BEGIN PGP SIGNED MESSAGE-----" not in document:
        raise RepositoryError("REPO_UNSIGNED", f"{what} carries no signature", hint=UNSIGNED_HINT)
    if not CLEARSIGNED.fullmatch(document):
        raise RepositoryError("REPO_SIGNATURE_INVALID", f"{what} is not one signed text and nothing else")
    with tempfile.TemporaryDirectory(prefix="image-composer-") as folder:
        place = Path(folder)
        (place / "document").write_bytes(document)
        status = _gpgv(place, keys, ["--output", place / "content", place / "document"], runner, repository)
        fingerprints = judge(status, what)
        return Signed((place / "content").read_bytes(), fingerprints)


def verify_detached(
    content: bytes,
    signature: bytes,
    keys: Sequence[bytes],
    *,
    runner: Runner,
    repository: str,
    name: str = "Release",
    at_signing: bool = False,
    clock: Callable[[], float] = time.time,
) -> Signed:
    """Verify a file against a signature that lies beside it.

    Args:
        content: the file.
        signature: its signature, armoured or binary.
        keys: certificates that are trusted for it, armoured or binary.
        runner: runs gpgv.
        repository: id, for messages.
        name: the file's name, for messages.
        at_signing: whether a key that has expired by now still counts for what it signed before. Packages keep their
            signature for as long as they are distributed, while metadata is signed again and again.
        clock: seconds since 1970; asked only when `at_signing` holds, to refuse signatures of the future.

    Raises:
        RepositoryError: as for `verify_clearsigned`.
    """
    with tempfile.TemporaryDirectory(prefix="image-composer-") as folder:
        place = Path(folder)
        (place / "content").write_bytes(content)
        (place / "signature").write_bytes(signature)
        status = _gpgv(place, keys, [place / "signature", place / "content"], runner, repository)
        moment = Moment(clock(), key_lives(keyring(keys, repository))) if at_signing else None
        return Signed(content, judge(status, f"repository {repository}: {name}", moment))


def _gpgv(place: Path, keys: Sequence[bytes], arguments: Sequence[str | Path], runner: Runner, repository: str) -> str:
    """Run gpgv and give its status lines; what it thinks of the signature is in them, not in its exit status."""
    ring = place / "keyring.gpg"
    ring.write_bytes(keyring(keys, repository))
    argv = ["gpgv", "--homedir", place, "--keyring", ring, "--status-fd", "1", *arguments]
    return runner.run(argv, check=False).stdout.decode("utf-8", "replace")
