"""Why a build waits or has failed: what Jobs, pods and the cluster say, as one reason and one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from image_composer.pod.message import Failure
from image_composer_operator.observe import Container, Job, Pod, Warned
from image_composer_operator.reasons import Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """What is the matter."""

    reason: Reason
    message: str


PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
    }
)
CONFIG_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"}
)

CODES: Sequence[tuple[str, Reason]] = (
    (r"SPEC_|SETTINGS_", Reason.INVALID_SPEC),
    (r"SOLVE_|LOCK_", Reason.RESOLUTION_FAILED),
    (
        r"REPO_(SIGNATURE_INVALID|UNSIGNED|KEY_[A-Z]+|DIGEST_MISMATCH|SIZE_MISMATCH|EXPIRED|FROM_FUTURE|SUITE_MISMATCH)",
        Reason.SIGNATURE_INVALID,
    ),
    (r"REPO_", Reason.REPOSITORY_FAILED),
    (r"INPUT_|DOWNLOAD_", Reason.INPUT_FAILED),
    (r"SIGN_", Reason.SIGNING_FAILED),
    (r"PUBLISH_", Reason.PUBLISH_FAILED),
    (r"INTERRUPTED", Reason.DISRUPTED),
)
"""Reason by the beginning of a builder's code; anything else is BuildFailed."""

KILLED = 137
"""Exit code after SIGKILL (128 + 9)."""


def why_waiting(job: Job, pod: Pod | None, warnings: Sequence[Warned]) -> Finding | None:
    """Say what keeps a Job's pod from working, if something does.

    Args:
        job: an unfinished Job.
        pod: its newest pod, if it has one that has not ended.
        warnings: the cluster's, about the Job and the pod; the newest counts.
    """
    if pod is None:
        return _refused(warnings) if not job.suspended else None
    if pod.unschedulable:
        return Finding(Reason.UNSCHEDULABLE, f"no node takes the builder pod: {pod.unschedulable}")
    for container in pod.containers:
        if container.state == "waiting" and container.reason in PULL_REASONS:
            return Finding(Reason.IMAGE_PULL_FAILED, _sentence("the builder's image can't be pulled", container))
        if container.state == "waiting" and container.reason in CONFIG_REASONS:
            return _container_problem(container)
    return None if pod.has_begun else _unmounted(warnings)


def _refused(warnings: Sequence[Warned]) -> Finding | None:
    """Say why the Job controller can't make a pod."""
    for warning in reversed(warnings):
        if warning.reason != "FailedCreate":
            continue
        if "violates PodSecurity" in warning.message:
            hint = "label the namespace pod-security.kubernetes.io/enforce=privileged, or build in one that has it"
            return Finding(Reason.POD_SECURITY_FORBIDDEN, f"{warning.message}; {hint}")
        if "exceeded quota" in warning.message or "failed quota" in warning.message:
            return Finding(Reason.QUOTA_EXCEEDED, warning.message)
        return Finding(Reason.CONTAINER_CONFIG_ERROR, f"the builder pod can't be made: {warning.message}")
    return None


def _container_problem(container: Container) -> Finding:
    missing = re.search(r'secret "?[^"]*"? not found|couldn\'t find key .* in Secret', container.message)
    reason = Reason.MISSING_SECRET if missing else Reason.CONTAINER_CONFIG_ERROR
    return Finding(reason, _sentence(f"the container {container.name} can't be started", container))


def _unmounted(warnings: Sequence[Warned]) -> Finding | None:
    """Say which volume keeps the pod from starting."""
    for warning in reversed(warnings):
        if warning.reason not in ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"):
            continue
        text = warning.message
        if re.search(r'secret "[^"]+" not found|references non-existent secret key', text):
            return Finding(Reason.MISSING_SECRET, _short_mount(text))
        if re.search(r'configmap "[^"]+" not found|references non-existent config key', text):
            is_lock = re.search(r'volume "lock"', text) is not None
            reason = Reason.MISSING_LOCK if is_lock else Reason.MISSING_CONFIG_MAP
            return Finding(reason, _short_mount(text))
        if warning.reason != "FailedCreatePodSandBox":
            return Finding(Reason.VOLUME_FAILED, text)
    return None


def _short_mount(text: str) -> str:
    """Give the end of a mount's chain of errors, which says what is missing."""
    found = re.search(r'((secret|configmap) "[^"]+" not found|references non-existent (secret|config) key: .*)', text)
    volume = re.search(r'volume "([^"]+)"', text)
    where = f" (volume {volume[1]})" if volume else ""
    return f"{found[1] if found else text}{where}; the build goes on once it is there"


def why_failed(pod: Pod) -> Finding:
    """Say why a pod failed."""
    if pod.reason == "Evicted":
        return Finding(Reason.EVICTED, f"the pod was evicted: {pod.message}")
    for container in pod.containers:
        if container.state == "terminated" and container.exit_code != 0:
            return _why_ended(container, pod)
    if pod.disrupted:
        return Finding(Reason.DISRUPTED, f"the pod was taken away: {pod.disrupted}")
    if pod.deleting:
        return Finding(Reason.DISRUPTED, "the pod was deleted")
    return Finding(Reason.BUILD_FAILED, f"the pod failed: {pod.message or pod.reason or 'without a word'}")


def _why_ended(container: Container, pod: Pod) -> Finding:
    said = container.said
    if container.reason == "OOMKilled":
        hint = f"raise spec.build.resources.{container.name}.limits.memory"
        return Finding(Reason.OUT_OF_MEMORY, f"{container.name} needed more memory than its limit; {hint}")
    if pod.disrupted:
        return Finding(Reason.DISRUPTED, f"the pod was taken away during {container.name}: {pod.disrupted}")
    if said is not None and said.failure is not None:
        return Finding(reason_of(said.failure), f"{container.name}: {failure_text(said.failure)}")
    if pod.deleting or container.exit_code == KILLED:
        return Finding(Reason.DISRUPTED, f"the pod was ended during {container.name}")
    lines = [line for line in container.message.splitlines() if line.strip()]
    detail = f": {lines[-1]}" if lines else ""
    return Finding(Reason.BUILD_FAILED, f"{container.name} ended with exit status {container.exit_code}{detail}")


def reason_of(failure: Failure) -> Reason:
    """Give the reason that stands for a builder's code."""
    return next((reason for pattern, reason in CODES if re.match(pattern, failure.code)), Reason.BUILD_FAILED)


def failure_text(failure: Failure) -> str:
    """Give a builder's failure as one text."""
    hint = f" ({failure.hint})" if failure.hint else ""
    return f"{failure.message}{hint} [{failure.code}]"


def _sentence(what: str, container: Container) -> str:
    return f"{what}: {container.message or container.reason}"
