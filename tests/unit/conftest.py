"""What tests of several rooms share."""

from __future__ import annotations

import pytest

from support.keys import KeyPair, make_keys


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """A key for Secure Boot and its certificate."""
    return make_keys(tmp_path_factory.mktemp("keys"))
