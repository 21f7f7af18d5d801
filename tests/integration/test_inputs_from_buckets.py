"""Files, scripts, trees and artifacts out of a bucket: on a laptop, and in a pod, where `fetch` has no credentials."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.cluster import S3Server
from support.composer import Composer, Outcome, write_document
from support.distribution import document
from support.s3server import Bucket, Proxy, versitygw

KEY = "gateway/1.4/rules(draft)+a=1;v~%41'.conf"
"""Of what an address has to have encoded."""

ARTIFACT = "models/gateway.bin"
SIGNED = "X-Amz-"


@pytest.fixture(scope="module")
def lock(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all documents here."""
    folder = tmp_path_factory.mktemp("locked")
    outcome = composer.run("lock", "-f", write_document(folder, document()), "-o", folder / "lock.json")
    assert outcome.status == 0, outcome.said
    return folder / "lock.json"


class Place:
    """A folder with a document, in whose workspace single stages are run, on a laptop unless something else is said."""

    def __init__(self, composer: Composer, bucket: Bucket, lock: Path, folder: Path) -> None:
        server = bucket.server
        keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        self.bucket, self.folder, self.workspace = bucket, folder, folder / "workspace"
        self.composer = replace(composer, cache=folder / "cache", environment={**composer.environment, **keys})
        self.workspace.mkdir()
        shutil.copy(lock, self.workspace)
        self.said: list[str] = []

    def with_environment(self, **variables: str) -> None:
        self.composer = replace(self.composer, environment={**self.composer.environment, **variables})

    def without_keys(self) -> None:
        """Have no credentials from here on."""
        self.with_environment(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true")

    def run(self, *words: str | Path) -> Outcome:
        outcome = self.composer.run(*words, "--workspace", self.workspace)
        self.said.append(outcome.said + outcome.printed)
        return outcome

    def validate(self, endpoint: str | None = None, *, beside: dict[str, Any] | None = None, **image: Any) -> None:
        given = document(**image)
        given["spec"]["inputs"] = {"s3": {"endpoint": endpoint or self.bucket.endpoint, **(beside or {})}}
        outcome = self.run("stage", "validate", "--file", write_document(self.folder, given))
        assert outcome.status == 0, outcome.said

    def fetch(self) -> Outcome:
        return self.run("stage", "fetch")

    def got(self, name: str) -> bytes:
        return (self.workspace / "inputs" / name).read_bytes()

    def written(self) -> str:
        """Give all that the composer said and left, but for files that were downloaded."""
        kept = [path for path in self.workspace.rglob("*") if path.is_file() and path.suffix in (".json", ".log")]
        return "\n".join([*self.said, *(path.read_text() for path in kept)])


@pytest.fixture
def place(composer: Composer, bucket: Bucket, lock: Path, tmp_path: Path) -> Place:
    return Place(composer, bucket, lock, tmp_path)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(bucket: Bucket, content: bytes, key: str = KEY) -> dict[str, Any]:
    return {"path": "/etc/rules", "url": f"s3://{bucket.name}/{key}", "sha256": sha256(content)}


def archive() -> bytes:
    """Give a tar archive of one file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("page")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"page"))
    return made.getvalue()


def test_everything_that_is_downloaded_can_come_out_of_a_bucket_and_is_asked_for_once(place: Place) -> None:
    bucket, large = place.bucket, secrets.token_bytes(3 << 20)
    contents = {KEY: b"rules", "run.sh": b"true\n", "site.tar": archive(), ARTIFACT: large}
    for key, content in contents.items():
        bucket.put(key, content)
    url = f"s3://{bucket.name}"
    with Proxy((bucket.server.address, bucket.server.port)) as proxy:
        place.validate(
            proxy.endpoint,
            files=[{"path": "/etc/own", "content": "own"}, file(bucket, b"rules")],
            scripts=[{"name": "run", "url": f"{url}/run.sh", "sha256": sha256(b"true\n")}],
            trees=[{"name": "site", "path": "/srv", "url": f"{url}/site.tar", "sha256": sha256(archive())}],
            artifacts=[{"path": "/srv/model", "url": f"{url}/{ARTIFACT}", "sha256": sha256(large), "size": len(large)}],
        )
        outcome = place.fetch()
        assert outcome.status == 0, outcome.said
        assert (place.got("files.1"), place.got("artifacts.0")) == (b"rules", large)
        assert len(proxy.requests) == 4
        place.without_keys()
        again = place.fetch()
        assert again.status == 0, again.said
        assert len(proxy.requests) == 4
    assert f"downloading s3://{bucket.name}/{ARTIFACT}" in outcome.said
    assert SIGNED not in place.written()


def test_what_breaks_off_is_gone_on_with(place: Place) -> None:
    bucket, large = place.bucket, secrets.token_bytes(3 << 20)
    bucket.put(ARTIFACT, large)
    cut = iter([len(large) // 2])
    with Proxy((bucket.server.address, bucket.server.port)) as proxy:
        proxy.edit = lambda answer: answer[: next(cut, len(answer))]
        artifact = {"path": "/srv/model", "url": f"s3://{bucket.name}/{ARTIFACT}", "sha256": sha256(large)}
        place.validate(proxy.endpoint, artifacts=[{**artifact, "size": len(large)}])
        place.with_environment(IMAGE_COMPOSER_TIMEOUT="1")
        outcome = place.fetch()
    assert outcome.status == 0, outcome.said
    assert place.got("artifacts.0") == large
    assert f"artifacts[0]: s3://{bucket.name}/{ARTIFACT}: " in outcome.said
    assert SIGNED not in place.written()


@pytest.mark.parametrize(
    ("case", "code", "said", "hint"),
    [
        ("wrong key", "REPO_FORBIDDEN", "SignatureDoesNotMatch", "check access key and secret key"),
        ("unknown user", "REPO_FORBIDDEN", "(XAdminUserNotFound)", "check access key and secret key"),
        ("no object", "REPO_NOT_FOUND", "NoSuchKey", "there is no such bucket or key"),
        ("no bucket", "REPO_NOT_FOUND", "NoSuchBucket", "there is no such bucket or key"),
        ("other content", "DOWNLOAD_WRONG_DIGEST", "has the SHA-256", "see whether it has changed"),
        ("no server", "REPO_UNREACHABLE", "no connection", "its endpoint in inputs.s3"),
        ("no keys", "INPUT_CREDENTIALS", "there are no credentials", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_can_not_be_had_is_told_with_field_and_object(
    place: Place, case: str, code: str, said: str, hint: str
) -> None:
    bucket, endpoint = place.bucket, None
    wanted = file(bucket, b"rules")
    if case == "no bucket":
        wanted["url"] = f"s3://nobodys-bucket/{KEY}"
    if case != "no object":
        bucket.put(KEY, b"other rules" if case == "other content" else b"rules")
    if case == "wrong key":
        place.with_environment(AWS_SECRET_ACCESS_KEY="wrong-secret-key")
    if case == "unknown user":
        place.with_environment(AWS_ACCESS_KEY_ID="AKNOBODYATALL")
    if case == "no keys":
        place.without_keys()
    if case == "no server":
        place.with_environment(IMAGE_COMPOSER_RETRIES="1")
        endpoint = "http://127.0.0.1:9"
    place.validate(endpoint, files=[{"path": "/etc/own", "content": "own"}, wanted])
    outcome = place.fetch()
    assert outcome.code == code, outcome.said
    assert f"files[1]: {wanted['url']}: " in outcome.said or f"files[1]: what {wanted['url']} gives" in outcome.said
    assert said in outcome.error
    assert hint in outcome.hint
    assert SIGNED not in place.written()
    assert "wrong-secret-key" not in place.written()


def test_a_laptop_without_a_server_in_the_document_asks_where_aws_programs_ask(place: Place) -> None:
    place.bucket.put(KEY, b"rules")
    given = document(files=[file(place.bucket, b"rules")])
    assert place.run("stage", "validate", "--file", write_document(place.folder, given)).status == 0
    place.with_environment(AWS_ENDPOINT_URL=place.bucket.endpoint)
    outcome = place.fetch()
    assert outcome.status == 0, outcome.said
    assert place.got("files.0") == b"rules"


def test_an_authority_of_the_servers_own_is_trusted_when_the_document_has_it(
    composer: Composer, lock: Path, tmp_path: Path
) -> None:
    with S3Server.start(tmp_path / "s3", versitygw(), tls=True) as server:
        bucket = Bucket.of(server, "inputs", tmp_path)
        bucket.put(KEY, b"rules")
        place = Place(composer, bucket, lock, tmp_path)
        place.validate(files=[file(bucket, b"rules")])
        outcome = place.fetch()
        assert outcome.code == "REPO_CERTIFICATE_INVALID", outcome.said
        assert "caBundle in inputs.s3" in outcome.hint
        place.validate(files=[file(bucket, b"rules")], beside={"caBundle": bucket.ca_bundle})
        outcome = place.fetch()
        assert outcome.status == 0, outcome.said
        assert place.got("files.0") == b"rules"


def test_in_a_pod_preflight_signs_and_fetch_needs_no_credentials(place: Place) -> None:
    bucket, signed = place.bucket, place.workspace / "signed-inputs.json"
    bucket.put(KEY, b"rules")
    given = bucket.document()  # its server is that of the destination
    given["spec"]["image"] |= {**document()["spec"]["image"], "files": [file(bucket, b"rules")]}
    assert place.run("stage", "validate", "--file", write_document(place.folder, given)).status == 0
    place.without_keys()
    fetching = place.composer
    place.with_environment(**bucket.environment())
    assert place.run("pod", "preflight").status == 0
    assert [*json.loads(signed.read_text())["addresses"]] == ["files[0]"]
    assert bucket.server.secret_key not in signed.read_text()
    assert signed.stat().st_mode & 0o777 == 0o644
    place.composer = fetching
    outcome = place.fetch()
    assert outcome.status == 0, outcome.said
    assert place.got("files.0") == b"rules"
    assert not signed.exists()
    assert SIGNED not in place.written()


def test_addresses_are_signed_while_the_bucket_can_not_be_reached_and_gone_when_fetching_fails(place: Place) -> None:
    bucket, signed = place.bucket, place.workspace / "signed-inputs.json"
    silent = replace(bucket, endpoint="http://127.0.0.1:9")
    given = silent.document(inputs={"s3": {"endpoint": "http://127.0.0.1:9"}})
    given["spec"]["image"] |= {**document()["spec"]["image"], "files": [file(bucket, b"rules")]}
    assert place.run("stage", "validate", "--file", write_document(place.folder, given)).status == 0
    place.without_keys()
    place.with_environment(**bucket.environment(), IMAGE_COMPOSER_RETRIES="0")
    assert place.run("pod", "preflight").code == "INPUT_CREDENTIALS"  # the destination's are not for another server
    place.with_environment(IMAGE_COMPOSER_S3_INPUTS_CREDENTIALS=str(bucket.credentials))
    assert place.run("pod", "preflight").status == 0
    assert "127.0.0.1:9" in signed.read_text()
    outcome = place.fetch()
    assert (outcome.status, outcome.code) == (1, "REPO_UNREACHABLE"), outcome.said
    assert not signed.exists()
    assert SIGNED not in place.written()
