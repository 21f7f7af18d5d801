"""What tests of several rooms share, as a plugin: a real S3 server for all of a process, and a bucket for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import S3Server
from support.s3server import Bucket, versitygw


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One that no test may stop: who wants that starts a server of its own."""
    with S3Server.start(tmp_path_factory.mktemp("s3"), versitygw()) as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path: Path) -> Bucket:
    return Bucket.of(s3_server, f"b-{secrets.token_hex(6)}", tmp_path)
