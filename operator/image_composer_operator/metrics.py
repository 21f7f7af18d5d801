"""What the operator counts, for Prometheus. Labels are bounded: never a name or a namespace."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from image_composer_operator.reasons import BuildOutcome, ConditionType, Reason, StageState
from image_composer_operator.status import BuildStatus

PREFIX = "image_composer"

BUILD_BUCKETS = (10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200)
"""Seconds: half a minute is a warm build, an hour the default limit."""

STAGE_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
SHORT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BYTE_BUCKETS = tuple(float(2**power) for power in range(24, 38, 2))
"""From 16 MiB to 64 GiB."""


class Metrics:
    """All metrics of one operator, in a registry of their own."""

    def __init__(self, version: str) -> None:
        registry = self.registry = CollectorRegistry()
        self.builds = Counter(
            f"{PREFIX}_builds_total",
            "Builds that have ended",
            ["result", "reason", "distribution"],
            registry=registry,
        )
        self.build_seconds = Histogram(
            f"{PREFIX}_build_duration_seconds",
            "From the start of the first pod to the end of the build",
            ["distribution", "result"],
            buckets=BUILD_BUCKETS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            f"{PREFIX}_stage_duration_seconds",
            "Duration of a stage that succeeded",
            ["stage", "distribution"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            f"{PREFIX}_queue_wait_seconds",
            "From the making of the Job to the start of its first pod",
            buckets=BUILD_BUCKETS,
            registry=registry,
        )
        self.active = Gauge(f"{PREFIX}_builds_active", "Builds that have not ended", ["state"], registry=registry)
        self.artifact_bytes = Histogram(
            f"{PREFIX}_artifact_bytes",
            "Size of published image files",
            ["format"],
            buckets=BYTE_BUCKETS,
            registry=registry,
        )
        self.reconciles = Counter(f"{PREFIX}_reconcile_total", "Looks at an ImageBuild", ["outcome"], registry=registry)
        self.reconcile_errors = Counter(
            f"{PREFIX}_reconcile_errors_total", "Looks at an ImageBuild that failed", ["kind"], registry=registry
        )
        self.reconcile_seconds = Histogram(
            f"{PREFIX}_reconcile_duration_seconds",
            "Duration of a look at an ImageBuild",
            buckets=SHORT_BUCKETS,
            registry=registry,
        )
        self.api_requests = Counter(
            f"{PREFIX}_api_requests_total",
            "Requests to the Kubernetes API beside watches; status 0: no answer",
            ["method", "resource", "status"],
            registry=registry,
        )
        self.watch_age = Gauge(
            f"{PREFIX}_watch_age_seconds", "How long a watch has been behind what a list showed", registry=registry
        )
        self.resync_age = Gauge(
            f"{PREFIX}_resync_age_seconds", "Time since everything was listed last", registry=registry
        )
        Gauge(f"{PREFIX}_build_info", "The operator's version", ["version"], registry=registry).labels(version).set(1)

    def finished(self, status: BuildStatus, distribution: str) -> None:
        """Count a build that has just ended."""
        ready = status.condition(ConditionType.READY)
        reason = ready.reason if ready else Reason.BUILD_FAILED
        outcomes = {Reason.SUCCEEDED: BuildOutcome.SUCCEEDED, Reason.CANCELLED: BuildOutcome.CANCELLED}
        result = outcomes.get(reason, BuildOutcome.FAILED)
        self.builds.labels(result, reason, distribution).inc()
        if status.started_at and status.finished_at:
            seconds = (status.finished_at - status.started_at).total_seconds()
            self.build_seconds.labels(distribution, result).observe(seconds)
        for stage in status.stages:
            if stage.state is StageState.SUCCEEDED and stage.started_at and stage.finished_at:
                seconds = (stage.finished_at - stage.started_at).total_seconds()
                self.stage_seconds.labels(stage.name, distribution).observe(seconds)
        for artifact in status.artifacts:
            self.artifact_bytes.labels(artifact.format).observe(artifact.size)
