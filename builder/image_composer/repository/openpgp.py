"""Signatures of repositories: gpgv judges them against the repository's own keys and no others.

Only what was signed is given back. Text around a signed message never reaches a parser.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from image_composer.errors import RepositoryError
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

NO_PUBLIC_KEY = "9"
"""Reason code of gpgv's ERRSIG line: the key is not in the keyring."""


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
) -> Signed:
    """Verify a file against a signature that lies beside it; arguments and errors as for `verify_clearsigned`."""
    with tempfile.TemporaryDirectory(prefix="image-composer-") as folder:
        place = Path(folder)
        (place / "content").write_bytes(content)
        (place / "signature").write_bytes(signature)
        status = _gpgv(place, keys, [place / "signature", place / "content"], runner, repository)
        return Signed(content, judge(status, f"repository {repository}: {name}"))


def _gpgv(place: Path, keys: Sequence[bytes], arguments: Sequence[str | Path], runner: Runner, repository: str) -> str:
    """Run gpgv and give its status lines; what it thinks of the signature is in them, not in its exit status."""
    ring = place / "keyring.gpg"
    ring.write_bytes(keyring(keys, repository))
    argv = ["gpgv", "--homedir", place, "--keyring", ring, "--weak-digest", "SHA1", "--status-fd", "1", *arguments]
    return runner.run(argv, check=False).stdout.decode("utf-8", "replace")


@dataclass(slots=True)
class _Signature:
    """What gpgv says about one signature."""

    verdict: str = ""
    key: str = ""
    valid_for: list[str] = field(default_factory=list)


VERDICTS = frozenset({"GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG"})


def judge(status: str, what: str) -> tuple[str, ...]:
    """Give the fingerprints of the keys whose signature is good, from gpgv's status lines.

    One good signature is enough, as archives sign with several keys and we need not know all; but one that does not
    fit the content is fatal whoever made it.

    Args:
        status: gpgv's output (GnuPG's doc/DETAILS describes it).
        what: the signed file, for messages.

    Raises:
        RepositoryError: as for `verify_clearsigned`.
    """
    signatures = list(_signatures(status))
    bad = [found for found in signatures if found.verdict == "BADSIG"]
    good = sorted({key for found in signatures if found.verdict == "GOODSIG" for key in found.valid_for})
    if good and not bad:
        return tuple(good)
    if not signatures and "[GNUPG:] NODATA" in status:
        raise RepositoryError("REPO_UNSIGNED", f"{what} carries no signature", hint=UNSIGNED_HINT)
    raise _failure(bad or signatures, what)


def _signatures(status: str) -> Iterator[_Signature]:
    current = _Signature()
    for line in status.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "[GNUPG:]":
            continue
        keyword, arguments = words[1], words[2:]
        if keyword == "NEWSIG" and current.verdict:
            yield current
            current = _Signature()
        elif keyword in VERDICTS and arguments:
            unknown = keyword == "ERRSIG" and arguments[5:6] == [NO_PUBLIC_KEY]
            current.verdict = "NO_PUBKEY" if unknown else keyword
            current.key = arguments[6] if unknown and len(arguments) > 6 and arguments[6] != "-" else arguments[0]
        elif keyword == "VALIDSIG" and arguments:
            current.valid_for.append(arguments[9] if len(arguments) > 9 else arguments[0])
    if current.verdict:
        yield current


def _failure(signatures: Sequence[_Signature], what: str) -> RepositoryError:
    """Choose the error for a text without any good signature: what is the most telling about its keys."""
    for verdict, code, sentence, hint in EXPLANATIONS:
        keys = sorted({found.key for found in signatures if found.verdict == verdict})
        if keys:
            ids = ", ".join(keys)
            return RepositoryError(code, f"{what} {sentence.format(keys=ids)}", hint=hint.format(keys=ids))
    return RepositoryError("REPO_SIGNATURE_INVALID", f"{what} has a signature that can't be checked", hint=BAD_HINT)


UNSIGNED_HINT = "only signed repositories are used: sign it, and name its public key"
BAD_HINT = "the mirror is broken, being updated or tampered with: try again later or name another mirror"
EXPLANATIONS = (
    ("BADSIG", "REPO_SIGNATURE_INVALID", "does not fit its signature by key {keys}", BAD_HINT),
    (
        "REVKEYSIG",
        "REPO_KEY_REVOKED",
        "is signed by key {keys}, which its owner has revoked",
        "ask the repository's owner for the key that took its place",
    ),
    (
        "EXPKEYSIG",
        "REPO_KEY_EXPIRED",
        "is signed by key {keys}, which has expired",
        "fetch the key again: its owner may have prolonged it",
    ),
    (
        "EXPSIG",
        "REPO_SIGNATURE_INVALID",
        "has a signature by key {keys} that has expired",
        "the mirror is out of date: name another one",
    ),
    (
        "NO_PUBKEY",
        "REPO_KEY_UNKNOWN",
        "is signed by key {keys}, which is not among the repository's keys",
        "if you trust it, add the public key {keys} to the repository's keys",
    ),
)
"""By gpgv's verdict: code, sentence and hint, the most telling first."""
