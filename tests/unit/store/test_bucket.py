"""What servers of buckets say when they refuse, and what may be repeated of it."""

from __future__ import annotations

import pytest

from image_composer.store.bucket import refusal_of_bucket
from image_composer.store.place import Place, Signed

PLACE = Place.of("s3://models/a", "files[2]").signed(Signed("https://s3.example.org/models/a?X-Amz-Signature=01"))


def answer(code: str) -> bytes:
    """Give an answer as AWS words it, with what nobody is to see."""
    told = "<StringToSign>AWS4-HMAC-SHA256 X-Amz-Signature=01</StringToSign>"
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message>{told}</Error>'.encode()


@pytest.mark.parametrize(
    ("status", "content", "code", "said", "hint"),
    [
        (403, answer("SignatureDoesNotMatch"), "REPO_FORBIDDEN", " (SignatureDoesNotMatch)", "check access key"),
        (404, answer("XAdminUserNotFound"), "REPO_FORBIDDEN", " (XAdminUserNotFound)", "check access key"),
        (403, answer("AccessDenied"), "REPO_FORBIDDEN", " (AccessDenied)", "s3:GetObject"),
        (403, answer("RequestTimeTooSkewed"), "REPO_FORBIDDEN", " (RequestTimeTooSkewed)", "clock"),
        (400, answer("ExpiredToken"), "REPO_FORBIDDEN", " (ExpiredToken)", "have expired"),
        (403, b"<html>Go away, X-Amz-Signature=01</html>", "REPO_FORBIDDEN", "", "s3:GetObject"),
        (404, answer("NoSuchKey"), "REPO_NOT_FOUND", " (NoSuchKey)", "no such bucket or key"),
        (404, b"", "REPO_NOT_FOUND", "", "no such bucket or key"),
        (400, answer("AuthorizationQueryParametersError"), "REPO_REFUSED", " (Authorization", "region"),
        (301, answer("PermanentRedirect"), "REPO_REFUSED", " (PermanentRedirect)", "region"),
    ],
)
def test_a_refusal_says_what_to_look_at(status: int, content: bytes, code: str, said: str, hint: str) -> None:
    error = refusal_of_bucket(PLACE, f"the server answered {status}", status, content)
    assert (error.code, error.retryable) == (code, False)
    assert error.message.startswith(f"files[2]: s3://models/a: the server answered {status}{said}")
    assert hint in (error.hint or "")
    assert "X-Amz" not in error.message
