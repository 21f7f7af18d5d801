"""The sample ImageBuilds in tests/data/status are what the operator really makes of them.

The other tests here read them as Argo CD and Flux would; `UPDATE_GOLDEN=1 pytest tests/unit/gitops` writes them anew.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from image_composer_operator.names import FINALIZER
from image_composer_operator.observe import Warned
from support import golden
from support.builds import (
    NOW,
    Body,
    after,
    build,
    decided,
    done,
    ended,
    failed,
    image,
    job,
    pod,
    published_states,
    running,
    stamp,
    up_to,
)
from support.gitops import SAMPLES


def new() -> Body:
    """Just applied: the operator has not written yet."""
    return build()


def queued() -> Body:
    """There is a Job, and no pod yet."""
    return after(build(), decided(build()))


def at_work() -> Body:
    """The pod is at its third stage."""
    body, of = queued(), job(build(), active=1)
    return after(body, decided(body, [of], [pod(of, up_to("assemble", running(9)))]))


def waiting_for_secret() -> Body:
    """The pod can't start before somebody makes the Secret of the credentials."""
    body, of = queued(), job(build(), active=1)
    missing = Warned("FailedMount", 'MountVolume.SetUp failed for volume "s3" : secret "s3" not found', at=NOW)
    return after(body, decided(body, [of], [pod(of)], warnings=[missing]))


def retrying() -> Body:
    """A mirror did not answer; the next try follows by itself."""
    body, of = queued(), job(build(), failed=1)
    message = failed("fetch", "REPO_UNREACHABLE", "mirror.example does not answer", "is the mirror up?")
    return after(body, decided(body, [of], [pod(of, up_to("fetch", done(1, message)), phase="Failed")]))


def succeeded() -> Body:
    """The image is published."""
    body = queued()
    of = ended(build(), "Complete", succeeded=1)
    return after(body, decided(body, [of], [pod(of, published_states(of, build()), phase="Succeeded")]))


def failed_for_good() -> Body:
    """The packages can't be had together: trying again can't help."""
    body = queued()
    of = ended(build(), "Failed", "PodFailurePolicy", failed=1)
    message = failed("resolve", "SOLVE_NOT_FOUND", "no package is called 'chronyy'", "did you mean 'chrony'?")
    return after(body, decided(body, [of], [pod(of, up_to("resolve", done(2, message)), phase="Failed")]))


def invalid() -> Body:
    """A spec that an older CRD had let in."""
    body = build(image=image(version=1, color="red"))
    return after(body, decided(body))


def not_allowed() -> Body:
    """The namespace has not been opened for builds."""
    return after(build(), decided(build(), namespace_allowed=False))


def outdated() -> Body:
    """Published, and edited since: the status still speaks of the former spec."""
    return {**build(generation=2, image=image(version="1.1.0")), "status": succeeded()["status"]}


def rebuilding() -> Body:
    """The edit has been taken up: the former image stays where the history says."""
    return after(outdated(), decided(outdated()))


def suspended() -> Body:
    """Waits for its user."""
    body = build(suspend=True)
    return after(body, decided(body))


def cancelled() -> Body:
    """Ended by its user while it ran."""
    body = {**build(generation=2, cancel=True), "status": at_work()["status"]}
    return after(body, decided(body, [job(build(), active=1)]))


def deleting() -> Body:
    """Its objects in the bucket go first."""
    metadata: Body = {"deletionTimestamp": stamp(90), "deletionGracePeriodSeconds": 0, "finalizers": [FINALIZER]}
    body = build(generation=2, retention={"objects": "delete"}, metadata=metadata, status=succeeded()["status"])
    return after(body, decided(body))


STATES: dict[str, Callable[[], Body]] = {
    "new": new,
    "queued": queued,
    "running": at_work,
    "waiting-for-secret": waiting_for_secret,
    "retrying": retrying,
    "succeeded": succeeded,
    "failed": failed_for_good,
    "invalid": invalid,
    "not-allowed": not_allowed,
    "outdated": outdated,
    "rebuilding": rebuilding,
    "suspended": suspended,
    "cancelled": cancelled,
    "deleting": deleting,
}


@pytest.mark.parametrize("name", STATES)
def test_a_sample_is_what_the_operator_writes(name: str) -> None:
    state = STATES[name]
    text = yaml.safe_dump(state(), sort_keys=False, width=120)
    golden.check(SAMPLES / f"{name}.yaml", f"# {state.__doc__}\n{text}")


def test_every_sample_is_one_of_these() -> None:
    assert {file.stem for file in SAMPLES.glob("*.yaml")} == set(STATES)
