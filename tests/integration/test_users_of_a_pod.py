"""The stages of a pod run as different users with different rights, and share one folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from image_composer.digest import bytes_sha256, file_sha256
from image_composer.pod.message import StageMessage
from support.cluster import S3Server
from support.composer import Composer, write_document
from support.distribution import TESTS, OwnRepository, write_distribution
from support.finished import IMAGE
from support.keys import make_keys
from support.openpgp import Key
from support.s3server import Bucket, versitygw
from support.users import root_by_name, unprivileged

pytestmark = [
    pytest.mark.network,
    pytest.mark.build,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="image-composer-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def bucket(open_place: Path) -> Iterator[Bucket]:
    with S3Server.start(open_place / "s3", versitygw()) as server:
        yield Bucket.of(server, f"b-{secrets.token_hex(6)}", open_place)


def test_every_stage_gets_by_with_the_rights_of_its_container(
    open_place: Path, bucket: Bucket, mirror: str, key: Key
) -> None:
    distribution = write_distribution(open_place / "distribution", OwnRepository(mirror, key), on_debian=True)
    workspace, cache, messages = open_place / "workspace", open_place / "cache", open_place / "messages"
    for folder, mode in ((workspace, 0o1777), (cache, 0o755), (messages, 0o777)):  # a volume's mode, the stricter one
        folder.mkdir()
        folder.chmod(mode)
    manifest = bucket.document()
    manifest["spec"]["image"]["target"] = {"distribution": "testing", "release": "1"}
    keys = make_keys(open_place)
    keys.key.chmod(0o444)  # as a Secret is mounted: who sees the volume at all may read it
    manifest["spec"]["image"]["secureBoot"] = {"certificate": keys.pem, "enroll": "force"}
    bucket.put("inputs/rules", b"rules")
    wanted = {"path": "/etc/rules", "url": f"s3://{bucket.name}/inputs/rules", "sha256": bytes_sha256(b"rules")}
    manifest["spec"]["image"]["files"] = [wanted]
    file, signed = write_document(open_place, manifest), workspace / "signed-inputs.json"

    def run(container: str, prefix: list[str], *words: str | Path, **variables: str) -> StageMessage:
        message = messages / container
        message.touch()
        message.chmod(0o666)
        composer = Composer(
            cache,
            bucket.environment(
                **distribution,
                **variables,
                IMAGE_COMPOSER_TERMINATION_LOG=str(message),
                IMAGE_COMPOSER_LOG_FILE=str(workspace / f"logs/{container}.log"),
            ),
        )
        outcome = replace(composer, prefix=prefix).run(*words, "--workspace", workspace)
        assert outcome.status == 0, outcome.said
        return StageMessage.model_validate_json(message.read_bytes())

    nobody = unprivileged(TESTS)
    run("01-validate", nobody, "stage", "validate", "--file", file)
    run("02-preflight", nobody, "pod", "preflight")
    assert signed.exists()
    assert "packages" in (run("03-resolve", root_by_name(), "stage", "resolve").note or "")
    run("04-fetch", root_by_name(), "stage", "fetch", IMAGE_COMPOSER_S3_CREDENTIALS="")
    assert not signed.exists()
    run("05-assemble", [], "stage", "assemble")
    run("06-image", [], "stage", "image")
    with_key = {"IMAGE_COMPOSER_SECURE_BOOT_KEY": str(keys.key)}
    run("07-attest", nobody, "stage", "attest", **with_key)
    run("08-verify", nobody, "stage", "verify")
    published = run("09-publish", nobody, "stage", "publish").result
    assert published is not None
    assert published.artifacts[0].sha256 == bucket.digests()[IMAGE]
    assert sum(name.endswith((".cer", ".pem")) for name in bucket.digests()) == 2
    assert len(list((workspace / "logs").iterdir())) == 9
    run("10-attest", [], "stage", "attest", **with_key)
    assert {
        path.name: file_sha256(path) for path in (workspace / "evidence").iterdir()
    }.items() <= bucket.digests().items()
    said = [line for line in keys.key.read_text().splitlines() if "-----" not in line]
    written = [path for folder in (workspace, messages, cache) for path in folder.rglob("*") if path.is_file()]
    assert not any(line.encode() in path.read_bytes() for path in written for line in said[:3])
