from __future__ import annotations

import pytest

from image_composer.errors import RepositoryError
from image_composer.repository.gpgv_status import judge

GOOD = """\
[GNUPG:] NEWSIG
[GNUPG:] GOODSIG AA a
[GNUPG:] VALIDSIG AAAA 2023-11-14 1700000000 0 4 0 1 8 00 AAAA
"""
BAD = """\
[GNUPG:] NEWSIG
[GNUPG:] BADSIG BB b
"""


def test_a_bad_signature_is_fatal_beside_a_good_one() -> None:
    assert judge(GOOD, "InRelease") == ("AAAA",)
    with pytest.raises(RepositoryError) as caught:
        judge(GOOD + BAD, "InRelease")
    assert caught.value.code == "REPO_SIGNATURE_INVALID"
    assert "BB" in caught.value.message


def test_a_signature_that_can_not_be_checked_is_not_taken_for_a_missing_key() -> None:
    with pytest.raises(RepositoryError) as caught:
        judge("[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG AA 1 1 00 1700000000 4 -\n", "InRelease")
    assert caught.value.code == "REPO_SIGNATURE_INVALID"
