"""A load test: so many ImageBuilds applied at once, and what came of them and what they cost."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from support.cluster import ControlPlane, eventually
from support.cluster.api import wait_until_established

from .nodes import FakeNodes
from .operator import ACCOUNT, OperatorProcess, give_rights

PROJECT = Path(__file__).parents[3]
EXAMPLE = PROJECT / "examples/debian-12.yaml"
CRD = PROJECT / "crds/imagebuilds.yaml"

Body = dict[str, Any]


class Outcome(StrEnum):
    """How a build ends, and the reason that its ImageBuild then has."""

    PUBLISHED = "Succeeded"
    CONFLICT = "ResolutionFailed"
    """The user's mistake: no further try."""

    OUTAGE = "RepositoryFailed"
    """Again in each try."""


ENDS: Mapping[Outcome, Mapping[str, str]] = {
    Outcome.PUBLISHED: {},
    Outcome.CONFLICT: {"load/fails-in": "resolve", "load/code": "SOLVE_CONFLICT", "load/exit": "2"},
    Outcome.OUTAGE: {"load/fails-in": "fetch", "load/code": "REPO_UNREACHABLE", "load/exit": "1"},
}
"""Labels of pods by what they are to do, see nodes.yaml."""


@dataclass(frozen=True)
class Load:
    """How much there is to do, and where."""

    builds: int
    nodes: int
    pods_each: int
    step_seconds: tuple[float, float]
    """The least and the most that a container of a builder pod takes."""

    namespaces: int = 5
    retries: int = 2
    """Further tries of a build that fails for no fault of the user; the Job controller waits 10 s, then 20 s."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the operator."""

    def outcome(self, number: int) -> Outcome:
        """Say how a build ends: one in ten fails, by turns in either way."""
        return {9: Outcome.CONFLICT, 19: Outcome.OUTAGE}.get(number % 20, Outcome.PUBLISHED)

    def manifests(self) -> list[Body]:
        """Give all ImageBuilds."""
        example = yaml.safe_load(EXAMPLE.read_text())
        made = []
        for number in range(self.builds):
            one = copy.deepcopy(example)
            one["metadata"] = {"name": f"edge-{number:04}", "namespace": f"load-{number % self.namespaces}"}
            one["spec"]["destination"] = {"s3": {"bucket": "images", "credentialsSecretRef": {"name": "s3"}}}
            one["spec"]["build"] = {"retries": self.retries, "labels": dict(ENDS[self.outcome(number)])}
            made.append(one)
        return made


@dataclass(frozen=True)
class Figures:
    """What a run cost."""

    applying_seconds: float
    last_job_seconds: float
    """From the first ImageBuild's making to the last Job's."""

    last_end_seconds: float
    """Until the last ImageBuild had reached a terminal state."""

    job_wait_seconds: float
    """The longest that an ImageBuild waited for its Job; times of the API have whole seconds."""

    end_wait_seconds: float
    """The longest that the end of a Job waited to stand in the status."""

    reasons: Counter[str]
    jobs: int
    pods: int
    requests: Counter[str]
    """The operator's, as the API server wrote them down: everything but watches."""

    own_count: Counter[str]
    """The same by the operator's own metrics; its watches' lists, which are not in there, excluded."""

    watches: int
    reconciles: Counter[str]
    errors: Counter[str]
    peak_mib: float
    cpu_seconds: float

    @property
    def requests_each(self) -> float:
        """Requests for each ImageBuild."""
        return self.requests.total() / self.reasons.total()


@dataclass
class Trial:
    """A cluster with an operator that has nothing to do yet."""

    plane: ControlPlane
    nodes: FakeNodes
    operator: OperatorProcess
    load: Load
    kubeconfig: Path
    """The operator's."""

    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _applied: datetime = field(default_factory=lambda: datetime.now(UTC))

    def apply(self) -> None:
        """Make all ImageBuilds, as fast as the API server takes them: one kubectl a namespace, all at the same time."""
        manifests = self.load.manifests()
        lists = [
            {"apiVersion": "v1", "kind": "List", "items": manifests[number :: self.load.namespaces]}
            for number in range(self.load.namespaces)
        ]
        self._started = datetime.now(UTC)
        with ThreadPoolExecutor(len(lists)) as teams:
            made = [teams.submit(self.plane.kubectl, "create", "-f", "-", input=json.dumps(each)) for each in lists]
        for done in made:
            done.result()
        self._applied = datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Wait until all have ended."""

        def have_ended() -> bool:
            self.operator.daemon.check()
            self.nodes.check()
            return self.operator.total("image_composer_builds_total").total() >= self.load.builds

        logs = [self.operator.daemon.log]
        eventually(have_ended, "all builds have ended", seconds=seconds, every=1.0, logs=logs)

    def get(self, kind: str) -> list[Body]:
        """Give all objects of a kind."""
        found: list[Body] = json.loads(self.plane.kubectl("get", kind, "--all-namespaces", "-o", "json"))["items"]
        return found

    def requests(self) -> Counter[str]:
        """Give the operator's requests but for watches, by verb and resource, as the API server wrote them down."""
        return Counter(_shown(entry) for entry in self._audited() if entry["verb"] != "watch")

    def settle(self) -> None:
        """Wait until the operator has written all that it has to write."""
        seen: list[int] = []

        def is_quiet() -> bool:
            seen.append(sum(count for what, count in self.requests().items() if not is_reading(what)))
            return seen[-2:-1] == seen[-1:]

        eventually(is_quiet, "the operator writes nothing", seconds=60, every=2.0)

    def restart(self) -> None:
        """Put another operator in the place of this one, and wait until it has looked at everything."""
        self.operator.stop()
        self.operator = OperatorProcess.start(self.plane, self.kubeconfig, self.load.settings)

        def has_looked() -> bool:
            return self.operator.total("image_composer_reconcile_total").total() >= self.load.builds

        eventually(
            has_looked, "the new operator has looked at everything", seconds=300, logs=[self.operator.daemon.log]
        )

    def figures(self) -> Figures:
        """Give what it cost so far; all builds must have ended."""
        jobs = {job["metadata"]["ownerReferences"][0]["uid"]: job for job in self.get("jobs")}
        builds = self.get("imagebuilds")
        made = {build["metadata"]["uid"]: _time(build["metadata"]["creationTimestamp"]) for build in builds}
        first = min(made.values())
        job_times = {uid: _time(job["metadata"]["creationTimestamp"]) for uid, job in jobs.items()}
        job_ends = {uid: _ended(job, ("Complete", "Failed")) for uid, job in jobs.items()}
        ends = {build["metadata"]["uid"]: _ended(build, ("Ready", "Stalled")) for build in builds}
        operator = self.operator
        return Figures(
            applying_seconds=(self._applied - self._started).total_seconds(),
            last_job_seconds=(max(job_times.values()) - first).total_seconds(),
            last_end_seconds=(max(ends.values()) - first).total_seconds(),
            job_wait_seconds=max((job_times[uid] - made[uid]).total_seconds() for uid in made),
            end_wait_seconds=max((ends[uid] - job_ends[uid]).total_seconds() for uid in made),
            reasons=Counter(_ready(build)["reason"] for build in builds),
            jobs=len(jobs),
            pods=len(self.get("pods")),
            requests=self.requests(),
            own_count=_joined(operator.total("image_composer_api_requests_total", "method", "resource")),
            watches=sum(entry["verb"] == "watch" and entry["stage"] == "ResponseStarted" for entry in self._audited()),
            reconciles=_joined(operator.total("image_composer_reconcile_total", "outcome")),
            errors=_joined(operator.total("image_composer_reconcile_errors_total", "kind")),
            peak_mib=operator.peak_mib,
            cpu_seconds=operator.cpu_seconds,
        )

    def _audited(self) -> Iterator[Body]:
        with _audit_log(self.plane.folder).open() as lines:
            for line in lines:
                if line.endswith("\n"):  # the last one may still be being written
                    yield json.loads(line)


@contextmanager
def prepared(folder: Path, tools: Path, load: Load) -> Iterator[Trial]:
    """Give a cluster with an operator, ready for a load; it ends with the context."""
    with ControlPlane.start(folder, tools, controllers=True, apiserver=_apiserver(folder)) as plane:
        plane.kubectl("create", "-f", CRD)
        wait_until_established(plane.kubectl, "imagebuilds.imagecomposer.dev")
        names = [f"load-{number}" for number in range(load.namespaces)]
        for name in names:
            plane.kubectl("create", "namespace", name)
            plane.kubectl("label", "namespace", name, "imagecomposer.dev/builds=allowed")
        nodes = FakeNodes.start(
            plane, tools, count=load.nodes, pods_each=load.pods_each, step_seconds=load.step_seconds
        )
        try:
            # Pods are refused before their namespace has its account.
            for name in names:
                eventually(partial(_has_account, plane, name), f"{name} has an account", seconds=60)
            kubeconfig = give_rights(plane)
            trial = Trial(plane, nodes, OperatorProcess.start(plane, kubeconfig, load.settings), load, kubeconfig)
            try:
                yield trial
            finally:
                trial.operator.stop()
        finally:
            nodes.stop()


def is_reading(what: str) -> bool:
    """Say whether a request, as `Trial.requests` shows it, changes nothing."""
    return what.split(maxsplit=1)[0] in ("get", "list")


def _apiserver(folder: Path) -> list[str]:
    """Let the API server write down the operator's requests, and bear with kwok."""
    log, policy = _audit_log(folder), folder / "audit-policy.json"
    log.parent.mkdir(parents=True, exist_ok=True)
    rules = [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}]
    header = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    policy.write_text(json.dumps({**header, "rules": rules}))
    # kwok 0.8 watches from version 0, for which a newer API server wants an etcd newer than Debian's: each of its
    # watches would end at once.
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--feature-gates=WatchList=false"]


def _audit_log(folder: Path) -> Path:
    """Give where the API server writes the operator's requests, a line of JSON each."""
    return folder / "log/audit.log"


def _has_account(plane: ControlPlane, namespace: str) -> bool:
    words = ("-n", namespace, "get", "--ignore-not-found", "serviceaccount/default", "-o", "name")
    return bool(plane.kubectl(*words))


def _ready(build: Body) -> Body:
    found: Body = next(each for each in build["status"]["conditions"] if each["type"] == "Ready")
    return found


def _ended(found: Body, kinds: Sequence[str]) -> datetime:
    """Give when an object came to its end, by those of its conditions that say so."""
    conditions = found["status"]["conditions"]
    return max(
        _time(each["lastTransitionTime"]) for each in conditions if each["type"] in kinds and each["status"] == "True"
    )


def _shown(entry: Body) -> str:
    reference = entry.get("objectRef")
    if reference is None:
        return f"{entry['verb']} {entry['requestURI']}"
    return "/".join(filter(None, (f"{entry['verb']} {reference['resource']}", reference.get("subresource"))))


def _joined(counts: Counter[tuple[str, ...]]) -> Counter[str]:
    return Counter({" ".join(labels): count for labels, count in counts.items() if count})


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
