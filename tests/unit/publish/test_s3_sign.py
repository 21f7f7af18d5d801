"""Addresses that are signed for whoever has no credentials; that servers take them is shown in tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from image_composer.errors import InputError
from image_composer.publish.s3_sign import VALID_SECONDS, sign
from image_composer.spec.destination import S3Server

URL = "s3://models/a/b+1"
NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let AWS programs find nothing on this machine."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def secret(folder: Path, **more: str) -> Path:
    folder.mkdir()
    for name, value in {"AWS_ACCESS_KEY_ID": "AKEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2", **more}.items():
        (folder / name).write_text(value)
    return folder


@pytest.mark.parametrize(
    ("bucket", "fields", "place"),
    [
        ("models", {}, "https://models.s3.amazonaws.com/k"),
        ("models", {"region": "eu-central-1"}, "https://models.s3.eu-central-1.amazonaws.com/k"),
        ("my.models", {"region": "eu-central-1"}, "https://s3.eu-central-1.amazonaws.com/my.models/k"),
        ("models", {"endpoint": "http://s3.example.org:9000"}, "http://s3.example.org:9000/models/k"),
        ("models", {"endpoint": "https://s3.example.org", "forcePathStyle": False}, "https://models.s3.example.org/k"),
        ("models", {"endpoint": "https://example.org/storage"}, "https://example.org/storage/models/k"),
    ],
)
def test_an_address_is_for_its_server_and_region(
    bucket: str, fields: dict[str, Any], place: str, tmp_path: Path
) -> None:
    server = S3Server.model_validate(fields)
    found = urlsplit(sign({"files[0]": f"s3://{bucket}/k"}, server, secret(tmp_path / "s"))["files[0]"])
    assert found._replace(query="").geturl() == place
    assert f"/{server.region}/s3/aws4_request" in parse_qs(found.query)["X-Amz-Credential"][0]


def test_an_address_is_good_for_one_object_and_some_hours(tmp_path: Path) -> None:
    server = S3Server(endpoint="http://s3.example.org")
    found = urlsplit(sign({"a": URL}, server, secret(tmp_path / "s", AWS_SESSION_TOKEN="token"))["a"])
    query = parse_qs(found.query)
    assert found.path == "/models/a/b%2B1"
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == [str(VALID_SECONDS)]
    assert query["X-Amz-SignedHeaders"] == ["host"]  # so the downloader may ask for ranges, and say who it is
    assert query["X-Amz-Security-Token"] == ["token"]
    assert "hunter2" not in found.geturl()


def test_on_a_laptop_what_aws_programs_are_told_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"AWS_ACCESS_KEY_ID": "AKEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}
    for name, value in {**given, "AWS_ENDPOINT_URL": "http://10.0.0.1:9000", "AWS_DEFAULT_REGION": "moon"}.items():
        monkeypatch.setenv(name, value)
    [found] = sign({"a": URL}, None, None).values()
    assert found.startswith("http://10.0.0.1:9000/models/a/b%2B1?")
    assert "%2Fmoon%2Fs3" in found


def test_without_credentials_the_field_and_the_object_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"files\[2\]: s3://models/a/b\+1: there are no credentials") as caught:
        sign({"files[2]": URL}, S3Server(), None)
    assert (caught.value.code, caught.value.exit_status) == ("INPUT_CREDENTIALS", 2)
    with pytest.raises(InputError, match="AWS_SECRET_ACCESS_KEY of the credentials is empty") as caught:
        sign({"files[2]": URL}, S3Server(), secret(tmp_path / "s", AWS_SECRET_ACCESS_KEY=""))
    assert caught.value.code == "INPUT_CREDENTIALS"


def test_a_server_that_is_none_is_the_documents_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"files\[2\]: s3://models/a/b\+1: can't be signed") as caught:
        sign({"files[2]": URL}, S3Server(endpoint="https://[x"), secret(tmp_path / "s"))
    assert (caught.value.code, caught.value.exit_status) == ("INPUT_SERVER", 2)
