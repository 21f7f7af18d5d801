"""What builder pods run around a bucket, a laptop too: look, publish, be interrupted, upload the log, clean up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from image_composer.pod.message import StageMessage
from image_composer.settings import MIB
from image_composer.workspace import PublishPlace, Workspace
from support.composer import Composer, Outcome, events, write_document
from support.finished import IMAGE, LOCK, SBOM, VERDICT, finish_workspace
from support.s3server import FOLDER, Bucket

LARGE = 150 * MIB


class Pod:
    """Runs the containers of a pod, one after the other, in one workspace."""

    def __init__(self, bucket: Bucket, place: Path) -> None:
        self.bucket, self.workspace, self.messages = bucket, place / "workspace", place / "messages"
        self.messages.mkdir()
        self.place = place

    def composer(self, container: str, **changes: str) -> Composer:
        environment = self.bucket.environment(
            IMAGE_COMPOSER_TERMINATION_LOG=str(self.messages / container),
            IMAGE_COMPOSER_LOG_FILE=str(self.workspace / f"logs/{container}.log"),
            IMAGE_COMPOSER_ATTEMPT="edge-abcde",
        )
        return Composer(self.place / "cache", {**environment, **changes})

    def run(self, container: str, *words: str | Path, **changes: str) -> Outcome:
        return self.composer(container, **changes).run(*words, "--workspace", self.workspace)

    def stage(self, name: str, *words: str | Path, **changes: str) -> Outcome:
        return self.run(name, "stage", name, *words, **changes)

    def message(self, container: str) -> StageMessage:
        content = (self.messages / container).read_bytes()
        assert len(content) <= 4096
        return StageMessage.model_validate_json(content)

    def finish(self, *, image: int = 4096, seed: object = 1) -> None:
        """Do what the stages between validate and publish do."""
        workspace = finish_workspace(self.workspace, image=image, seed=seed)
        workspace.write(workspace.destination, PublishPlace(s3=self.bucket.place, namespace="default", name="edge"))


@pytest.fixture
def pod(bucket: Bucket, tmp_path: Path) -> Pod:
    return Pod(bucket, tmp_path)


def test_a_validated_document_says_where_it_goes(pod: Pod) -> None:
    file = write_document(pod.place, pod.bucket.document(build={"timeout": "1h"}))
    assert pod.stage("validate", "--file", file).status == 0
    place = json.loads((pod.workspace / "destination.json").read_text())
    assert (place["namespace"], place["name"], place["s3"]["bucket"]) == ("default", "edge", pod.bucket.name)
    assert place["folder"].startswith("edge/default/edge/1.0-")
    assert pod.stage("validate", "--file", file, "--output", pod.place / "out").status == 0
    assert not (pod.workspace / "destination.json").exists()


def test_a_document_whose_image_is_wrong_still_says_where_its_log_goes(pod: Pod) -> None:
    document = pod.bucket.document()
    document["spec"]["image"]["colour"] = "red"
    outcome = pod.stage("validate", "--file", write_document(pod.place, document))
    assert outcome.status == 2
    failure = pod.message("validate").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("SPEC_UNKNOWN_FIELD", "spec.image.colour: unknown field")
    assert run_log(pod).log == f"s3://{pod.bucket.name}/{FOLDER}logs/edge-abcde.log"


def test_a_pod_publishes_and_tells_what_lies_where(pod: Pod) -> None:
    pod.finish(image=40 * MIB)
    assert pod.run("preflight", "pod", "preflight").status == 0
    assert pod.message("preflight").note == "nothing published yet"
    outcome = pod.stage("publish")
    assert outcome.status == 0, outcome.said
    message = pod.message("publish")
    assert message.ok
    assert message.result is not None
    assert message.result.folder == f"s3://{pod.bucket.name}/{FOLDER}"
    assert not message.result.reused
    digests = pod.bucket.digests()
    assert {artifact.file: artifact.sha256 for artifact in message.result.artifacts} == {IMAGE: digests[IMAGE]}
    assert {document.kind: document.sha256 for document in message.result.documents} == {
        "sbom": digests[SBOM],
        "lock": digests[LOCK],
    }
    assert message.note == f"6 files, 40.0 MiB, verified in s3://{pod.bucket.name}/{FOLDER}"
    assert "publish: done in" in (pod.workspace / "logs/publish.log").read_text()


def test_what_is_published_already_is_not_built_again(pod: Pod) -> None:
    pod.finish()
    assert pod.stage("publish").status == 0
    (pod.place / "again").mkdir()
    again = Pod(pod.bucket, pod.place / "again")
    again.finish(seed=2)
    assert again.run("preflight", "pod", "preflight").status == 0
    assert again.message("preflight").note == "already published"
    for name in ("resolve", "fetch", "assemble", "image", "attest", "verify", "publish"):
        outcome = again.stage(name)
        assert outcome.status == 0, outcome.said
        assert again.message(name).note == "already published"
    result = again.message("publish").result
    assert result is not None
    assert result.reused
    assert result.artifacts[0].sha256 == pod.bucket.digests()[IMAGE]


def test_a_result_whose_image_is_gone_is_not_taken_for_published(pod: Pod) -> None:
    pod.finish()
    assert pod.stage("publish").status == 0
    pod.bucket.client.delete_object(Bucket=pod.bucket.name, Key=f"{FOLDER}{IMAGE}")
    outcome = pod.run("preflight", "pod", "preflight")
    assert (outcome.status, outcome.code) == (1, "PUBLISH_DAMAGED")
    assert IMAGE in outcome.error


def test_what_can_not_be_published_is_said_before_anything_is_built(pod: Pod) -> None:
    pod.finish()
    nowhere = PublishPlace(s3=replace(pod.bucket, name="nobodys").place, namespace="default", name="edge")
    (pod.bucket.credentials / "AWS_SECRET_ACCESS_KEY").write_text("wrong-secret-key")
    outcome = pod.run("preflight", "pod", "preflight")
    assert (outcome.status, outcome.code) == (2, "PUBLISH_CREDENTIALS")
    (pod.bucket.credentials / "AWS_SECRET_ACCESS_KEY").unlink()
    outcome = pod.run("preflight", "pod", "preflight")
    assert (outcome.status, outcome.code) == (2, "PUBLISH_CREDENTIALS")
    assert "AWS_SECRET_ACCESS_KEY" in outcome.error
    (pod.bucket.credentials / "AWS_SECRET_ACCESS_KEY").write_text(pod.bucket.server.secret_key)
    Workspace(pod.workspace).write(pod.workspace / "destination.json", nowhere)
    outcome = pod.run("preflight", "pod", "preflight")
    assert (outcome.status, outcome.code) == (2, "PUBLISH_BUCKET_MISSING")
    failure = pod.message("preflight").failure
    assert failure is not None
    assert not failure.retryable


def test_a_server_that_does_not_answer_does_not_keep_a_pod_from_building(pod: Pod) -> None:
    pod.finish()
    silent = PublishPlace(
        s3=replace(pod.bucket, endpoint="http://127.0.0.1:9").place, namespace="default", name="edge", folder=FOLDER
    )
    Workspace(pod.workspace).write(pod.workspace / "destination.json", silent)
    outcome = pod.run("preflight", "pod", "preflight")
    assert outcome.status == 0
    assert pod.message("preflight").note == "the server can't be reached; building all the same"
    assert not (pod.workspace / "published.json").exists()


@pytest.mark.parametrize("moment", ["uploading", "verifying"])
def test_an_interrupted_publication_leaves_nothing(pod: Pod, moment: str) -> None:
    pod.finish(image=LARGE)
    pod.bucket.put(f"{FOLDER}logs/edge-0.log")
    with pod.composer("publish").start("stage", "publish", "--workspace", pod.workspace) as process:
        assert any(moment in event["message"] for event in events(process))
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        said = list(events(process))
    assert process.returncode == 130
    assert time.monotonic() - asked < 10
    assert [event["code"] for event in said if event["kind"] == "error"] == ["INTERRUPTED"]
    assert pod.bucket.listing() == [f"{FOLDER}logs/edge-0.log"]
    assert pod.bucket.unfinished() == []
    failure = pod.message("publish").failure
    assert failure is not None
    assert failure.code == "INTERRUPTED"


def test_a_killed_publication_is_completed_by_the_next(pod: Pod) -> None:
    pod.finish(image=LARGE)
    with pod.composer("publish").start("stage", "publish", "--workspace", pod.workspace) as process:
        assert any("uploading" in event["message"] for event in events(process))
        process.kill()
    assert pod.bucket.unfinished() == [f"{FOLDER}{IMAGE}"]
    assert pod.stage("publish").status == 0
    assert pod.bucket.unfinished() == []
    assert sorted(pod.bucket.digests()) == sorted([IMAGE, SBOM, LOCK, VERDICT, "SHA256SUMS", "result.json"])


def run_log(pod: Pod, **changes: str) -> StageMessage:
    """Run the container that waits for the pod's end, and let that come."""
    with pod.composer("log", **changes).start("pod", "log", "--workspace", pod.workspace) as process:
        try:
            assert any("waiting" in event["message"] for event in events(process))
            time.sleep(0.2)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(25) == 0
        finally:
            process.kill()
    return pod.message("log")


def test_the_log_of_a_build_that_fails_is_uploaded(pod: Pod) -> None:
    pod.finish()
    assert pod.stage("resolve", IMAGE_COMPOSER_OFFLINE="1").status == 1
    message = run_log(pod)
    assert (message.ok, message.log) == (True, f"s3://{pod.bucket.name}/{FOLDER}logs/edge-abcde.log")
    text = pod.bucket.read(f"{FOLDER}logs/edge-abcde.log").decode()
    assert "resolve: resolving packages\n" in text
    assert "\nerror: " in text
    head = pod.bucket.client.head_object(Bucket=pod.bucket.name, Key=f"{FOLDER}logs/edge-abcde.log")
    assert head["ContentType"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("case", ["nothing logged", "no destination", "server gone", "wrong key"])
def test_a_log_that_can_not_be_uploaded_fails_no_pod(pod: Pod, case: str) -> None:
    pod.finish()
    (pod.workspace / "logs").mkdir()
    if case != "nothing logged":
        (pod.workspace / "logs/03-fetch.log").write_text("fetch: done\n")
    if case == "no destination":
        (pod.workspace / "destination.json").unlink()
    if case == "server gone":
        gone = replace(pod.bucket, endpoint="http://127.0.0.1:9").place
        Workspace(pod.workspace).write(
            pod.workspace / "destination.json", PublishPlace(s3=gone, namespace="default", name="edge")
        )
    if case == "wrong key":
        (pod.bucket.credentials / "AWS_SECRET_ACCESS_KEY").write_text("wrong-secret-key")
    message = run_log(pod, IMAGE_COMPOSER_LOG_FILE="")
    assert message.ok
    assert message.log is None
    assert message.note
    assert "wrong-secret-key" not in message.note


def test_an_upload_that_takes_too_long_is_ended_wherever_it_is() -> None:
    script = """
from image_composer.cli.pod import LateError, deadline
try:
    with deadline(0.1):
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue
except LateError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout == "it took longer than 0.1 s\n"


def test_a_deleted_image_build_is_cleaned_up(pod: Pod) -> None:
    pod.finish()
    assert pod.stage("publish").status == 0
    pod.bucket.put("edge/default/other/1.0-0123456789ab/result.json")
    document = pod.bucket.document()
    document["spec"]["image"] = "whatever it was"
    file = write_document(pod.place, document)
    outcome = pod.composer("clean").run("pod", "clean", "--document", file)
    assert outcome.status == 0, outcome.said
    assert pod.message("clean").note == "removed 6 objects and 0 unfinished uploads"
    assert pod.bucket.listing() == ["edge/default/other/1.0-0123456789ab/result.json"]
    assert pod.composer("clean").run("pod", "clean", "--document", file).status == 0
    del document["spec"]["destination"]
    wrong = pod.composer("clean").run("pod", "clean", "--document", write_document(pod.place, document))
    assert (wrong.status, wrong.code) == (2, "SPEC_MISSING_FIELD")


def test_a_laptop_learns_at_once_that_a_bucket_can_not_be_published_to(bucket: Bucket, tmp_path: Path) -> None:
    composer = Composer(tmp_path / "cache", {"AWS_ACCESS_KEY_ID": "AKNOBODY", "AWS_SECRET_ACCESS_KEY": "wrong-secret"})
    file = write_document(tmp_path, bucket.document())
    outcome = composer.run("build", "-f", file)
    assert (outcome.status, outcome.code) == (2, "PUBLISH_CREDENTIALS")
    assert "resolve" not in outcome.said
    assert "wrong-secret" not in outcome.said


def test_a_lock_that_only_the_cluster_has_is_asked_for(bucket: Bucket, tmp_path: Path) -> None:
    composer = Composer(tmp_path / "cache")
    file = write_document(tmp_path, bucket.document(lockRef={"name": "edge-lock"}))
    outcome = composer.run("build", "-f", file)
    assert (outcome.status, outcome.code) == (2, "SPEC_LOCK_ELSEWHERE")
    assert "spec.lockRef: names the ConfigMap edge-lock" in outcome.error
    assert 'kubectl get configmap edge-lock -o jsonpath="{.data.lock\\.json}"' in outcome.hint
    assert composer.run("validate", file).status == 0


@pytest.mark.network
@pytest.mark.build
def test_a_laptop_builds_into_the_bucket_that_the_document_names(
    bootable: Composer, finished: Path, bucket: Bucket, tmp_path: Path
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": bucket.server.access_key, "AWS_SECRET_ACCESS_KEY": bucket.server.secret_key}
    composer = replace(bootable, environment={**bootable.environment, **keys})
    manifest = bucket.document()
    manifest["spec"]["image"]["target"] = {"distribution": "testing", "release": "1"}
    file, lock = write_document(tmp_path, manifest), finished / "lock.json"
    outcome = composer.run("build", "-f", file, "--lock", lock)
    assert outcome.status == 0, outcome.said
    folder = next(key for key in bucket.listing() if key.endswith("result.json")).removesuffix("result.json")
    assert f"  s3://{bucket.name}/{folder}{IMAGE}  " in outcome.printed
    assert IMAGE in bucket.digests(folder)
    again = composer.run("build", "-f", file, "--lock", lock)
    assert again.status == 0, again.said
    assert "published before; nothing was built" in again.printed
    assert "resolving" not in again.said
    here = composer.run("build", "-f", file, "--lock", lock, "-o", tmp_path / "out")
    assert here.status == 0, here.said
    assert (tmp_path / "out/result.json").exists()
