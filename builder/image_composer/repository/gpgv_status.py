"""What gpgv's status lines mean: whose signatures are good, or the one sentence that says why none is.

GnuPG's doc/DETAILS describes the lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from image_composer.errors import RepositoryError
from image_composer.repository.certificate import KeyLife

UNCHECKED = {"5": "WEAK_DIGEST", "9": "NO_PUBKEY", "39": "TIME_CONFLICT"}
"""By the reason code of gpgv's ERRSIG line: the digest is MD5; the key is not in the keyring; it was made after the
signature."""

SAFE_DIGESTS = frozenset({"8", "9", "10", "11"})
"""The SHA-2 family, by OpenPGP's numbers (RFC 9580, section 9.5). That SHA-1 is refused is decided here rather than by
gpgv's `--weak-digest`: gpgv would refuse keys too whose own user ID was bound by SHA-1, as Microsoft's of 2015 is, the
one that signs Azure Linux's metadata. Keys are trusted because we were given them, not for what they say of users."""

CLOCK_TOLERANCE = timedelta(days=1)
"""How far in the future a signature may be: a clock that is off, not another year."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What it takes to judge keys at the time of signing."""

    now: float
    """Seconds since 1970."""

    lives: Mapping[str, KeyLife]
    """The keys that may have signed, by fingerprint."""


def judge(status: str, what: str, moment: Moment | None = None) -> tuple[str, ...]:
    """Give the fingerprints of the keys whose signature is good, from gpgv's status lines.

    One good signature is enough, as archives sign with several keys and we need not know all; but one that does not
    fit the content is fatal whoever made it.

    Args:
        status: gpgv's output (GnuPG's doc/DETAILS describes it).
        what: the signed file, for messages.
        moment: when given, a key counts if it had not expired when it signed; else it must not have by gpgv's clock.

    Raises:
        RepositoryError: as for `openpgp.verify_clearsigned`.
    """
    signatures = list(_signatures(status))
    if moment is not None:
        for found in signatures:
            found.settle(moment)
    bad = [found for found in signatures if found.verdict == "BADSIG"]
    good = sorted({key for found in signatures if found.verdict == "GOODSIG" for key in found.valid_for})
    if good and not bad:
        return tuple(good)
    if not signatures and "[GNUPG:] NODATA" in status:
        raise RepositoryError("REPO_UNSIGNED", f"{what} carries no signature", hint=UNSIGNED_HINT)
    raise _failure(bad or signatures, what)


@dataclass(slots=True)
class _Signature:
    """What gpgv says about one signature."""

    verdict: str = ""
    key: str = ""
    fingerprint: str = ""
    """Of the key or subkey that signed; known of signatures that fit only, as when they were made."""

    made: int = 0
    valid_for: list[str] = field(default_factory=list)
    ends: set[int] = field(default_factory=set)
    """When keys of the certificate expired; gpgv doesn't say which."""

    expired: int = 0

    def settle(self, moment: Moment) -> None:
        """Put in the verdict that holds when the key is judged at the time of signing."""
        if self.verdict in {"GOODSIG", "EXPKEYSIG"} and self.made > moment.now + CLOCK_TOLERANCE.total_seconds():
            self.verdict = "FROM_FUTURE"
        if self.verdict != "EXPKEYSIG":
            return
        life = moment.lives.get(self.fingerprint)
        if life is None or life.expires not in self.ends:
            return  # gpgv understands the certificate otherwise than we do
        self.expired = life.expires
        if life.revoked:
            self.verdict = "REVKEYSIG"
        else:
            self.verdict = "GOODSIG" if self.made < life.expires else "EXPIRED_BEFORE"


VERDICTS = frozenset({"GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG"})


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
            reason = UNCHECKED.get(arguments[5]) if keyword == "ERRSIG" and len(arguments) > 5 else None
            current.verdict = reason or keyword
            current.key = arguments[6] if reason and len(arguments) > 6 and arguments[6] != "-" else arguments[0]
        elif keyword == "VALIDSIG" and arguments:
            current.valid_for.append(arguments[9] if len(arguments) > 9 else arguments[0])
            current.fingerprint = arguments[0]
            if current.verdict != "BADSIG" and not SAFE_DIGESTS.issuperset(arguments[7:8] or [""]):
                current.verdict = "WEAK_DIGEST"
            current.made = _seconds(arguments[2]) if len(arguments) > 2 else 0
        elif keyword == "KEYEXPIRED" and arguments:
            current.ends.add(_seconds(arguments[0]))
    if current.verdict:
        yield current


def _seconds(text: str) -> int:
    """Read a time of gpgv's, in seconds since 1970 or as `20260326T000000`."""
    if "T" in text:
        return int(datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())
    return int(text)


def _failure(signatures: Sequence[_Signature], what: str) -> RepositoryError:
    """Choose the error for a text without any good signature: what is the most telling about its keys."""
    for verdict, code, sentence, hint in EXPLANATIONS:
        fitting = [found for found in signatures if found.verdict == verdict]
        if fitting:
            ids = ", ".join(sorted({found.key for found in fitting}))
            made, expired = _day(fitting[0].made), _day(fitting[0].expired)
            said = sentence.format(keys=ids, made=made, expired=expired)
            return RepositoryError(code, f"{what} {said}", hint=hint.format(keys=ids))
    return RepositoryError("REPO_SIGNATURE_INVALID", f"{what} has a signature that can't be checked", hint=BAD_HINT)


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


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
        "EXPIRED_BEFORE",
        "REPO_KEY_EXPIRED",
        "was signed by key {keys} on {made}, after the key had expired on {expired}",
        "fetch the key again: its owner may have prolonged it",
    ),
    (
        "FROM_FUTURE",
        "REPO_SIGNATURE_INVALID",
        "was signed by key {keys} on {made}, which is in the future",
        "check this machine's clock",
    ),
    (
        "TIME_CONFLICT",
        "REPO_SIGNATURE_INVALID",
        "has a signature by key {keys} that is older than the key",
        BAD_HINT,
    ),
    (
        "WEAK_DIGEST",
        "REPO_SIGNATURE_INVALID",
        "has a signature by key {keys} with a digest that is no longer safe, such as SHA-1",
        "ask its owner to sign with SHA-256 or stronger",
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
