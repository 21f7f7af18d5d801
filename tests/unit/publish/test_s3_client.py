"""How clients are made: credentials, addresses, authorities."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from image_composer.errors import PublishError
from image_composer.publish.s3_client import Credentials, opened_client, read_credentials
from image_composer.settings import Settings
from image_composer.spec.destination import S3Destination
from support.cluster.certificates import Authority


def secret(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"AWS_{name}").write_text(content)
    return folder


def test_credentials_are_read_as_a_secret_is_mounted(tmp_path: Path) -> None:
    folder = secret(tmp_path, ACCESS_KEY_ID="key\n", SECRET_ACCESS_KEY="a/b+c")
    assert read_credentials(folder) == Credentials("key", "a/b+c", None)
    secret(tmp_path, SESSION_TOKEN="token\r\n")
    assert read_credentials(folder).session_token == "token"
    assert read_credentials(None) == Credentials(None, None, None)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "AWS_ACCESS_KEY_ID of the credentials is missing"),
        ({"ACCESS_KEY_ID": "key"}, "AWS_SECRET_ACCESS_KEY of the credentials is missing"),
        ({"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "\n"}, "AWS_SECRET_ACCESS_KEY of the credentials is empty"),
        ({"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "hunter2 hunter2"}, "holds what no key can"),
        ({"ACCESS_KEY_ID": "k\u00e9y", "SECRET_ACCESS_KEY": "hunter2"}, "holds what no key can"),
    ],
)
def test_credentials_that_can_not_be_used_are_refused_by_name(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(PublishError) as caught:
        read_credentials(secret(tmp_path, **files))
    assert caught.value.code == "PUBLISH_CREDENTIALS"
    assert said in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://images.s3.amazonaws.com/k"),
        ({"region": "eu-central-1"}, "https://images.s3.eu-central-1.amazonaws.com/k"),
        ({"endpoint": "http://s3.example.org:9000"}, "http://s3.example.org:9000/images/k"),
        ({"endpoint": "https://s3.example.org", "forcePathStyle": False}, "https://images.s3.example.org/k"),
        ({"endpoint": "https://example.org/storage"}, "https://example.org/storage/images/k"),
    ],
)
def test_buckets_are_addressed_as_the_destination_says(tmp_path: Path, fields: dict[str, Any], url: str) -> None:
    place = S3Destination.model_validate({"bucket": "images", **fields})
    folder = secret(tmp_path, ACCESS_KEY_ID="key", SECRET_ACCESS_KEY="secret")
    with opened_client(place, Settings(cache_dir=tmp_path, s3_credentials=folder)) as client:

        def caught(request: Any, **_: Any) -> None:
            raise AskedError(request.url)

        client.meta.events.register("before-send.s3.HeadObject", caught)
        with pytest.raises(AskedError, match=re.escape(url)):
            client.head_object(Bucket="images", Key="k")


class AskedError(Exception):
    """Carries the address of a request that is not made."""


def test_the_authorities_of_a_destination_are_kept_as_long_as_its_client(tmp_path: Path) -> None:
    bundle = Authority.at(tmp_path / "pki", "ca").certificate.read_text()
    place = S3Destination(bucket="images", endpoint="https://s3.example.org", ca_bundle=bundle)
    folder = secret(tmp_path / "s3", ACCESS_KEY_ID="key", SECRET_ACCESS_KEY="secret")
    with opened_client(place, Settings(cache_dir=tmp_path, s3_credentials=folder)) as client:
        # Nothing public says which certificates a client believes.
        file = Path(client._endpoint.http_session._verify)  # type: ignore[attr-defined]
        assert file.read_text() == bundle
        assert file.stat().st_mode & 0o022 == 0
    assert not file.exists()
