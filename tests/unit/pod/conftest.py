from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import S3Server
from support.s3server import Bucket, versitygw


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server.start(tmp_path_factory.mktemp("s3"), versitygw()) as server:
        yield server


@pytest.fixture
def bucket(server: S3Server, tmp_path: Path) -> Bucket:
    return Bucket.of(server, f"b-{secrets.token_hex(6)}", tmp_path)
