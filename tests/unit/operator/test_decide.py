"""What the operator decides, by what the cluster shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from image_composer_operator.actions import CreateCleanup, CreateJob, DeleteBuild, DeleteJob, SetFinalizer
from image_composer_operator.job import cleanup_job as make_cleanup_job
from image_composer_operator.model import read_build
from image_composer_operator.observe import Warned
from support.builds import (
    NOW,
    SETTINGS,
    Body,
    after,
    build,
    decided,
    done,
    ended,
    failed,
    image,
    job,
    plan_of,
    pod,
    published_states,
    running,
    said,
    standing,
    up_to,
)

WORKING = {"Ready": "False", "Reconciling": "True", "Validated": "True"}
STUCK = {"Ready": "False", "Stalled": "True", "Validated": "True"}
READY = {"Ready": "True", "Validated": "True"}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
IDLE = {"Ready": "False", "Validated": "True"}


def waiting(reason: str) -> Body:
    """Give the status of a container that can't start."""
    return {"name": "log", "state": {"waiting": {"reason": reason}}}


def finished(body: Body, **changes: Any) -> Body:
    """Give an ImageBuild whose build went well, as its status says."""
    ready = ended(body, "Complete", succeeded=1)
    decision = decided(body, [ready], [pod(ready, published_states(ready, body, **changes), phase="Succeeded")])
    return after(body, decision)


def lost(body: Body, states: Body, **more: Any) -> Body:
    """Give an ImageBuild whose build failed."""
    job_body = ended(body, "Failed", "BackoffLimitExceeded", failed=3)
    return after(body, decided(body, [job_body], [pod(job_body, states, phase="Failed", **more)]))


def test_a_new_imagebuild_gets_its_job_and_says_that_it_is_queued() -> None:
    decision = decided(build())
    assert decision.actions == [CreateJob()]
    assert standing(decision) == ("Queued", WORKING)
    assert decision.status.observed_generation == 1
    assert decision.status.job_name == plan_of(build()).job
    assert [stage.state for stage in decision.status.stages] == ["Pending"] * 9


def test_the_same_is_decided_again_whatever_was_written() -> None:
    first = decided(build())
    second = decided(after(build(), first))
    assert (second.status, second.actions) == (first.status, [CreateJob()])


def test_nothing_is_to_be_done_while_the_pod_works() -> None:
    body = build()
    at_work = job(body, active=1)
    decision = decided(body, [at_work], [pod(at_work, up_to("assemble", running(9)), phase="Pending")])
    assert not decision.actions
    assert standing(decision) == ("Running", WORKING)
    assert decision.status.stage == "assemble"
    assert [str(stage.state) for stage in decision.status.stages] == ["Succeeded"] * 4 + ["Running"] + ["Pending"] * 4
    assert decision.status.attempts == 1


def test_a_published_build_tells_where_everything_is() -> None:
    body = build()
    status = finished(body)["status"]
    folder = f"s3://images/{plan_of(body).folder}"
    assert status["artifacts"] == [
        {"format": "raw", "compression": "none", "uri": f"{folder}edge.raw", "size": 1000, "sha256": "a" * 64}
    ]
    assert status["sbom"] == {"uri": f"{folder}edge.spdx.json", "sha256": "b" * 64}
    assert status["provenance"] == {"uri": f"{folder}edge.provenance.json", "sha256": "f" * 64}
    assert status["result"] == {"uri": f"{folder}result.json"}
    assert status["log"] == f"{folder}logs/pod-1.log"
    assert status["conditions"][0]["reason"] == "Succeeded"
    assert status["finishedAt"] == "2026-11-25T12:01:00Z"


def test_a_published_build_stays_as_it_is_when_its_job_is_gone() -> None:
    body = finished(build())
    decision = decided(body, now=NOW + timedelta(days=3))
    assert not decision.actions
    assert decision.status.as_json() == body["status"]


def test_an_edit_that_changes_nothing_of_the_image_is_ready_at_once() -> None:
    body = finished(build())
    edited = {**build(generation=2, build={"timeout": "2h"}), "status": body["status"]}
    decision = decided(edited)
    assert not decision.actions
    assert standing(decision) == ("Succeeded", READY)
    assert decision.status.observed_generation == 2


def test_force_builds_a_published_spec_again_into_a_folder_of_its_own() -> None:
    body = finished(build())
    forced = {**build(generation=2, build={"force": True}), "status": body["status"]}
    decision = decided(forced)
    assert decision.actions == [CreateJob()]
    assert decision.status.folder != body["status"]["folder"]


def test_an_edit_ends_the_former_job_before_anything_else() -> None:
    body = build()
    old = job(body, active=1)
    status = decided(body, [old], [pod(old, up_to("fetch", running()))]).status.as_json()
    edited = build(generation=2, image=image(packages=["nginx"]), status=status)
    decision = decided(edited, [old])
    assert [type(action) for action in decision.actions] == [DeleteJob]
    assert standing(decision) == ("Queued", WORKING)
    assert decision.again_after
    old["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:10Z"
    assert not decided(after(edited, decision), [old]).actions
    assert decided(after(edited, decision)).actions == [CreateJob()]
    assert [entry.result for entry in decision.status.history] == ["Superseded"]


def test_a_failed_build_is_not_tried_again_until_somebody_asks() -> None:
    body = lost(build(), up_to("resolve", done(2, failed("resolve", "SOLVE_CONFLICT"))))
    decision = decided(body)
    assert not decision.actions
    assert standing(decision) == ("ResolutionFailed", STUCK)
    asked = {**body, "metadata": {**body["metadata"], "annotations": {"imagecomposer.dev/requested-at": "now"}}}
    again = decided(asked)
    assert again.actions == [CreateJob()]
    assert again.status.history[0].reason == "ResolutionFailed"


@pytest.mark.parametrize(
    ("states", "more", "reason", "part"),
    [
        (up_to("validate", done(2, failed("validate", "SPEC_INVALID"))), {}, "InvalidSpec", "it does not work"),
        (up_to("resolve", done(2, failed("resolve", "SOLVE_CONFLICT"))), {}, "ResolutionFailed", "SOLVE_CONFLICT"),
        (up_to("resolve", done(2, failed("resolve", "LOCK_MISMATCH"))), {}, "ResolutionFailed", "resolve"),
        (up_to("resolve", done(1, failed("resolve", "REPO_SIGNATURE_INVALID"))), {}, "SignatureInvalid", "resolve"),
        (up_to("fetch", done(1, failed("fetch", "REPO_DIGEST_MISMATCH"))), {}, "SignatureInvalid", "fetch"),
        (up_to("fetch", done(1, failed("fetch", "REPO_UNREACHABLE"))), {}, "RepositoryFailed", "fetch"),
        (up_to("fetch", done(1, failed("fetch", "DOWNLOAD_WRONG_DIGEST"))), {}, "InputFailed", "fetch"),
        (up_to("preflight", done(2, failed("preflight", "INPUT_CREDENTIALS"))), {}, "InputFailed", "preflight"),
        (
            up_to("assemble", done(1, failed("assemble", "ASSEMBLE_ACCOUNTS", hint="do that"))),
            {},
            "BuildFailed",
            "do that",
        ),
        (up_to("assemble", done(137, "", reason="OOMKilled")), {}, "OutOfMemory", "resources.assemble.limits.memory"),
        (up_to("assemble", done(1, "Traceback\nValueError: x")), {}, "BuildFailed", "ValueError: x"),
        (up_to("publish", done(1, failed("publish", "PUBLISH_DENIED"))), {}, "PublishFailed", "publish"),
        (up_to("preflight", done(1, failed("preflight", "PUBLISH_BUCKET_MISSING"))), {}, "PublishFailed", "preflight"),
        (
            up_to("image", running()),
            {"reason": "Evicted", "message": "Usage of EmptyDir"},
            "Evicted",
            "Usage of EmptyDir",
        ),
        (up_to("image", done(137)), {}, "Disrupted", "image"),
        (up_to("image", done(130, failed("image", "INTERRUPTED"))), {}, "Disrupted", "image"),
        ({}, {"message": "no more pods"}, "BuildFailed", "no more pods"),
    ],
)
def test_a_failure_is_told_with_its_reason(states: Body, more: Body, reason: str, part: str) -> None:
    status = lost(build(), states, **more)["status"]
    conditions = {each["type"]: each for each in status["conditions"]}
    assert conditions["Stalled"]["status"] == "True"
    assert conditions["Ready"]["reason"] == conditions["Stalled"]["reason"] == reason
    assert part in conditions["Ready"]["message"]
    assert conditions["Validated"]["status"] == ("False" if reason == "InvalidSpec" else "True")
    assert status["finishedAt"]


def test_a_build_that_takes_too_long_says_what_it_was_at() -> None:
    body = build()
    at_work = job(body, active=1)
    body = after(body, decided(body, [at_work], [pod(at_work, up_to("assemble", running()))]))
    late = ended(body, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    decision = decided(body, [late])
    assert standing(decision) == ("DeadlineExceeded", STUCK)
    assert "during assemble" in decision.status.conditions[0].message


@pytest.mark.parametrize("kind", ["FailureTarget", "SuccessCriteriaMet"])
def test_a_job_has_not_ended_before_its_pods_have(kind: str) -> None:
    body = build()
    nearly = job(body, active=1, conditions=[{"type": kind, "status": "True"}])
    decision = decided(body, [nearly], [pod(nearly, up_to("fetch", running()))])
    assert standing(decision)[0] == "Running"


@pytest.mark.parametrize(
    ("warning", "reason"),
    [
        (("FailedCreate", 'pods "x" is forbidden: violates PodSecurity "baseline:latest"'), "PodSecurityForbidden"),
        (("FailedCreate", 'pods "x" is forbidden: exceeded quota: small'), "QuotaExceeded"),
        (("FailedCreate", "serviceaccount not found"), "ContainerConfigError"),
    ],
)
def test_a_job_that_gets_no_pod_says_why(warning: tuple[str, str], reason: str) -> None:
    body = build()
    lonely = job(body)
    assert decided(body, [lonely], now=NOW + timedelta(seconds=1)).again_after
    asking = decided(body, [lonely])
    assert asking.wants_warnings
    decision = decided(body, [lonely], warnings=[Warned(*warning, at=NOW)])
    assert standing(decision) == (reason, WORKING)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('MountVolume.SetUp failed for volume "s3" : secret "s3" not found', "MissingSecret"),
        ('MountVolume.SetUp failed for volume "s3-inputs" : secret "inputs" not found', "MissingSecret"),
        (
            'MountVolume.SetUp failed for volume "s3" : references non-existent secret key: AWS_ACCESS_KEY_ID',
            "MissingSecret",
        ),
        ('MountVolume.SetUp failed for volume "lock" : configmap "lock" not found', "MissingLock"),
        ('MountVolume.SetUp failed for volume "configmap-0" : configmap "rules" not found', "MissingConfigMap"),
        ('MountVolume.SetUp failed for volume "cache" : hostPath type check failed', "VolumeFailed"),
    ],
)
def test_a_pod_that_can_not_mount_says_what_is_missing(message: str, reason: str) -> None:
    body = build()
    stuck = job(body, active=1)
    decision = decided(body, [stuck], [pod(stuck)], warnings=[Warned("FailedMount", message, at=NOW)])
    assert standing(decision) == (reason, WORKING)
    assert decision.status.attempts is None  # nothing has been tried yet


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"initContainerStatuses": [waiting("ImagePullBackOff")]}, "ImagePullFailed"),
        ({"initContainerStatuses": [waiting("CreateContainerConfigError")]}, "ContainerConfigError"),
        ({"conditions": [{**UNSCHEDULED, "message": "0/1 nodes are available"}]}, "Unschedulable"),
    ],
)
def test_a_pod_that_can_not_start_says_why(status: Body, reason: str) -> None:
    body = build()
    stuck = job(body, active=1)
    assert standing(decided(body, [stuck], [pod(stuck, **status)])) == (reason, WORKING)


def test_a_wait_for_room_is_told_again_only_when_more_than_numbers_differ() -> None:
    body = build()
    stuck = job(body, active=1)

    def told(body: Body, said: str) -> Body:
        return after(body, decided(body, [stuck], [pod(stuck, conditions=[{**UNSCHEDULED, "message": said}])]))

    first = told(body, "0/25 nodes are available: 5 Insufficient cpu, 20 Too many pods.")
    assert told(first, "0/25 nodes are available: 12 Insufficient cpu, 13 Too many pods.") == first
    other = told(first, "0/25 nodes are available: 25 node(s) didn't match Pod's node affinity/selector.")
    assert "affinity" in other["status"]["conditions"][0]["message"]


def test_a_pod_that_is_done_before_its_job_is_no_failed_try() -> None:
    body = build()
    nearly = job(body, active=1)
    decision = decided(body, [nearly], [pod(nearly, published_states(nearly, body), phase="Succeeded")])
    assert standing(decision) == ("Running", WORKING)


@pytest.mark.parametrize(
    "news",
    [
        pytest.param({"active": 1}, id="the Job has not seen it"),
        pytest.param({"failed": 1, "conditions": [{"type": "FailureTarget", "status": "True"}]}, id="the Job gives up"),
    ],
)
def test_another_try_is_not_announced_before_the_job_has_counted_the_last_one(news: Body) -> None:
    body = build()
    nearly = job(body, **news)
    states = up_to("resolve", done(2, failed("resolve", "SOLVE_CONFLICT")))
    decision = decided(body, [nearly], [pod(nearly, states, phase="Failed")])
    assert standing(decision) == ("Running", WORKING)
    assert decision.status.conditions[0].message == "resolve has failed"
    assert not decision.wants_warnings


def test_between_two_tries_the_reason_of_the_last_one_is_told() -> None:
    body = build()
    retried = job(body, failed=1)
    states = up_to("fetch", done(1, failed("fetch", "REPO_UNREACHABLE")))
    decision = decided(body, [retried], [pod(retried, states, phase="Failed")], now=NOW + timedelta(seconds=1))
    assert standing(decision) == ("Retrying", WORKING)
    assert "REPO_UNREACHABLE" in decision.status.conditions[0].message


def test_a_pod_that_was_taken_away_is_no_failure_of_the_build() -> None:
    body = build()
    drained = job(body)
    disruption = [{"type": "DisruptionTarget", "status": "True", "message": "node is drained"}]
    gone = pod(drained, up_to("fetch", done(130)), phase="Failed", conditions=disruption)
    decision = decided(body, [drained], [gone], now=NOW + timedelta(seconds=1))
    assert standing(decision) == ("Disrupted", WORKING)


def test_the_newest_pod_counts() -> None:
    body = build()
    second = job(body, active=1, failed=1)
    first = pod(second, up_to("image", done(1, failed("image", "TOOL_FAILED"))), phase="Failed")
    newer = pod(second, up_to("fetch", running(30)), name="pod-0", seconds=20)
    decision = decided(body, [second], [newer, first])
    assert standing(decision)[0] == "Running"
    assert decision.status.stage == "fetch"
    assert decision.status.attempts == 2


@pytest.mark.parametrize(
    ("field", "reason", "expected"), [("suspend", "Suspended", IDLE), ("cancel", "Cancelled", STUCK)]
)
def test_a_running_build_can_be_stopped_and_begun_again(field: str, reason: str, expected: dict[str, str]) -> None:
    spec: Body = {field: True}
    body = build(generation=2, **spec)
    at_work = job(build(), active=1)
    decision = decided(body, [at_work])
    assert [type(action) for action in decision.actions] == [DeleteJob]
    assert standing(decision) == (reason, expected)
    stopped = after(body, decision)
    assert not decided(stopped).actions
    again = {**build(generation=3), "status": stopped["status"]}
    assert decided(again).actions == [CreateJob()]
    at_work["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:10Z"
    assert not decided(again, [at_work]).actions


@pytest.mark.parametrize("field", ["suspend", "cancel"])
def test_a_finished_build_can_not_be_stopped_any_more(field: str) -> None:
    spec: Body = {field: True}
    body = {**build(generation=2, **spec), "status": finished(build())["status"]}
    assert standing(decided(body)) == ("Succeeded", READY)


def test_a_suspended_imagebuild_does_not_begin() -> None:
    decision = decided(build(suspend=True))
    assert not decision.actions
    assert standing(decision) == ("Suspended", IDLE)


def test_a_wrong_spec_lists_what_is_wrong_and_ends_what_runs() -> None:
    old = job(build(), active=1)
    decision = decided(build(generation=2, image=image(version=1, color="red")), [old])
    assert [type(action) for action in decision.actions] == [DeleteJob]
    reason, conditions = standing(decision)
    assert (reason, conditions) == ("InvalidSpec", {"Ready": "False", "Stalled": "True", "Validated": "False"})
    message = decision.status.conditions[0].message
    assert "spec.image.version" in message
    assert "spec.image.color" in message


def test_a_spec_without_destination_needs_the_operators_default() -> None:
    body = build()
    del body["spec"]["destination"]
    decision = decided(body)
    assert standing(decision)[0] == "InvalidSpec"
    assert "spec.destination" in decision.status.conditions[0].message


def test_a_namespace_must_allow_privileged_pods() -> None:
    decision = decided(build(), namespace_allowed=False)
    assert not decision.actions
    assert standing(decision) == ("NamespaceNotAllowed", STUCK)
    assert "kubectl label namespace images imagecomposer.dev/builds=allowed" in decision.status.conditions[0].message
    assert decided(after(build(), decision)).actions == [CreateJob()]


def test_a_lock_that_is_not_there_is_waited_for() -> None:
    decision = decided(build(lockRef={"name": "lock"}), lock_missing="the ConfigMap lock is not there")
    assert standing(decision) == ("MissingLock", WORKING)
    assert decision.again_after


def test_another_lock_is_another_build() -> None:
    assert plan_of(build(), "a" * 64).folder != plan_of(build(), "b" * 64).folder


def test_a_job_that_waits_in_a_queue_is_queued() -> None:
    body = build()
    waiting = job(body)
    waiting["spec"]["suspend"] = True
    assert standing(decided(body, [waiting])) == ("Queued", WORKING)


def test_a_finished_imagebuild_goes_when_its_time_is_up() -> None:
    body = finished(build(retention={"ttlAfterFinished": "1h"}))
    early = decided(body, now=NOW + timedelta(minutes=31))
    assert (list(early.actions), early.again_after) == ([], 30 * 60)
    assert decided(body, now=NOW + timedelta(minutes=62)).actions == [DeleteBuild()]


def test_times_of_conditions_change_with_their_status_only() -> None:
    body = build()
    first = decided(body, now=NOW)
    at_work = job(body, active=1)
    later = decided(
        after(body, first), [at_work], [pod(at_work, up_to("fetch", running()))], now=NOW + timedelta(minutes=1)
    )
    assert [each.last_transition_time for each in later.status.conditions] == [NOW] * 3


DELETES: Body = {"retention": {"objects": "delete"}}
DELETED: Body = {
    "deletionTimestamp": "2026-11-25T12:00:30Z",
    "finalizers": ["imagecomposer.dev/objects"],
}


def test_objects_that_go_with_the_imagebuild_need_our_finalizer_first() -> None:
    assert decided(build(**DELETES)).actions == [SetFinalizer(present=True), CreateJob()]
    with_it = build(metadata={"finalizers": ["imagecomposer.dev/objects"]})
    assert decided(with_it).actions == [SetFinalizer(present=False), CreateJob()]


def test_a_deletion_ends_the_build_then_removes_objects_then_lets_go() -> None:
    status = decided(build(**DELETES)).status.as_json()
    body = build(metadata=DELETED, status=status, **DELETES)
    at_work = job(body, active=1)
    first = decided(body, [at_work])
    assert [type(action) for action in first.actions] == [DeleteJob]
    assert standing(first)[0] == "Deleting"
    assert decided(body).actions == [CreateCleanup()]
    cleanup = cleanup_job(body)
    assert not decided(body, [cleanup]).actions
    cleanup["status"] = {
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-25T12:00:40Z"}]
    }
    last = decided(body, [cleanup])
    assert [type(action) for action in last.actions] == [DeleteJob, SetFinalizer]


def test_a_cleanup_that_fails_is_tried_again_and_tells_how_to_give_up() -> None:
    body = build(metadata=DELETED, status=decided(build(**DELETES)).status.as_json(), **DELETES)
    cleanup = cleanup_job(body)
    failure = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-11-25T12:00:00Z", "message": "gave up"}
    cleanup["status"] = {"conditions": [failure]}
    soon = decided(body, [cleanup])
    assert not soon.actions
    assert "remove the finalizer imagecomposer.dev/objects" in soon.status.conditions[0].message
    later = decided(body, [cleanup], now=NOW + timedelta(seconds=61))
    assert [type(action) for action in later.actions] == [DeleteJob]


def test_a_deletion_without_a_run_has_nothing_to_remove() -> None:
    assert decided(build(metadata=DELETED, **DELETES)).actions == [SetFinalizer(present=False)]


def test_a_deletion_that_keeps_objects_needs_nothing_of_us() -> None:
    body = finished(build())
    body["metadata"] = {**body["metadata"], "deletionTimestamp": "2026-11-25T12:00:30Z"}
    decision = decided(body, [job(body, active=1)])
    assert not decision.actions
    assert decision.status.as_json() == body["status"]


def test_what_was_published_before_is_reused() -> None:
    body = build()
    ready = ended(body, "Complete", succeeded=1)
    states = published_states(ready, body, reused=True)
    states["assemble"] = done(message=said("assemble", note="already published"))
    decision = decided(body, [ready], [pod(ready, states, phase="Succeeded")])
    assert decision.status.reused
    assert next(stage for stage in decision.status.stages if stage.name == "assemble").state == "Skipped"
    assert "published before" in decision.status.conditions[0].message


def cleanup_job(body: Body) -> Body:
    """Give the cleanup Job of an ImageBuild, as it is in the cluster."""
    made = make_cleanup_job(read_build(body), plan_of(body).destination, SETTINGS)
    made["metadata"] |= {"uid": "cleanup", "resourceVersion": "103", "creationTimestamp": "2026-11-25T12:00:31Z"}
    return made
