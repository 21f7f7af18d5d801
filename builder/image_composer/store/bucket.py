"""What it means when a server refuses an object of a bucket that is asked for by a pre-signed address."""

from __future__ import annotations

import re

from image_composer.errors import RepositoryError
from image_composer.store.place import Place

BUCKET_ANSWER = 16 * 1024
"""Bytes of an answer that are looked at; errors of S3 servers have less than one KiB."""

CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
"""The one part of an answer that is repeated: others hold what was signed, and the signature."""

CLOCK = frozenset({"RequestTimeTooSkewed", "RequestNotYetValid"})
EXPIRED = frozenset({"ExpiredToken", "TokenRefreshRequired"})
KEYS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "XAdminUserNotFound"})
"""What servers call wrong credentials; the last is versitygw's."""


def refusal_of_bucket(place: Place, answer: str, status: int, content: bytes) -> RepositoryError:
    """Say what a status that brings no object means.

    Args:
        place: the object.
        answer: that the server has answered so, as a sentence.
        status: the answer's.
        content: the answer's, as XML.
    """
    found = CODE.search(content)
    said = found[1].decode() if found else ""
    sentence = place.sentence(f"{answer} ({said})" if said else answer)
    if status in {401, 403} or said in KEYS | EXPIRED:  # AWS answers 400 to an old token, versitygw 404 to a wrong key
        return RepositoryError("REPO_FORBIDDEN", sentence, hint=_why_forbidden(said))
    if status in {404, 410}:
        hint = "there is no such bucket or key: compare both with the server, and its endpoint with inputs.s3"
        return RepositoryError("REPO_NOT_FOUND", sentence, hint=hint)
    hint = "see endpoint and region in inputs.s3: an address is signed for one server and one region"
    return RepositoryError("REPO_REFUSED", sentence, hint=hint)


def _why_forbidden(said: str) -> str:
    if said in KEYS:
        return "check access key and secret key: those of inputs.s3, of the destination, or of this machine"
    if said in CLOCK:
        return "this machine's clock differs too much from the server's"
    if said in EXPIRED:
        return "the temporary credentials have expired: give new ones"
    return (
        "the credentials need s3:GetObject on it, and s3:ListBucket to be told when it is not there; this machine's"
        " clock must be right, and an address is good for some hours only"
    )
