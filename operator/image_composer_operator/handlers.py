"""kopf's wiring: what starts with the operator, and what its watches show."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
from typing import Any

import kopf

from image_composer_operator.cluster import PAGE, connect
from image_composer_operator.health import HealthServer
from image_composer_operator.index import Kind
from image_composer_operator.metrics import Metrics
from image_composer_operator.names import (
    GROUP,
    LABEL_MANAGED_BY,
    MANAGED_BY,
    OPERATOR,
    PLURAL,
    SELECTOR,
    VERSION,
)
from image_composer_operator.service import Service
from image_composer_operator.settings import OperatorSettings, operator_version

LOG = logging.getLogger(__name__)


@dataclasses.dataclass
class Memo:
    """What handlers share: made at the start, gone at the end."""

    settings: OperatorSettings
    service: Service | None = None
    health: HealthServer | None = None


class Unremembered(kopf.DiffBaseStorage):
    """What an object was like before: nobody here asks, and kopf would copy each object several times to know."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002 - kopf's interface
        """Give nothing to be compared."""
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - as above
        """Remember nothing."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Write nothing."""


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up for one who only watches: it writes nothing to any object."""
    settings.peering.standalone = True
    settings.scanning.disabled = True  # no listing of CRDs and namespaces, which would need rights for it
    # A watch ends by itself, long before a network device could have forgotten it.
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 270
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = PAGE
    settings.watching.label_selectors["batch", "v1", "jobs"] = SELECTOR
    settings.watching.label_selectors["", "v1", "pods"] = SELECTOR
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    # No limit: a worker holds its place for as long as it idles, and all that ours do is put news into the index.
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.1  # it keeps the object as long; a thousand pods are 60 MiB
    settings.posting.enabled = False
    # A name of its own: kopf takes its finalizer from every object that it needs none for. Ours is not its to take.
    settings.persistence.finalizer = f"{GROUP}/kopf"
    settings.persistence.diffbase_storage = Unremembered()
    settings.process.ultimate_exiting_timeout = 20


async def start(settings: kopf.OperatorSettings, memo: Memo, **_: Any) -> None:
    """Start all that runs beside the watches."""
    configure(settings)
    metrics = Metrics(operator_version())
    instance = os.environ.get("POD_NAME") or platform.node()
    memo.service = Service(await connect(metrics), memo.settings, metrics, instance)
    memo.service.start()
    memo.health = HealthServer(memo.service)
    port = await memo.health.start(memo.settings.metrics_port)
    LOG.info("%s %s: health and metrics on port %d", OPERATOR, operator_version(), port)


async def stop(memo: Memo, **_: Any) -> None:
    """Stop it again."""
    if memo.health is not None:
        await memo.health.stop()
    if memo.service is not None:
        await memo.service.stop()


async def on_build(event: Any, memo: Memo, **_: Any) -> None:
    """Take news of an ImageBuild."""
    _saw(memo, "imagebuilds", event)


async def on_job(event: Any, memo: Memo, **_: Any) -> None:
    """Take news of a Job of ours."""
    _saw(memo, "jobs", event)


async def on_pod(event: Any, memo: Memo, **_: Any) -> None:
    """Take news of a pod of ours."""
    _saw(memo, "pods", event)


def _saw(memo: Memo, kind: Kind, event: Any) -> None:
    if memo.service is not None:
        memo.service.saw(kind, event["type"], dict(event["object"]))


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Let kopf's watches log in as this process does: by its service account, or by the kubeconfig."""
    inside = kopf.login_with_service_account(**kwargs)
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if inside is None or host is None or port is None:
        return inside or kopf.login_with_kubeconfig(**kwargs)
    # By address, as every other client does: the name needs a DNS that works, which may itself wait for the cluster.
    address = f"[{host}]" if ":" in host else host
    return dataclasses.replace(inside, server=f"https://{address}:{port}")


def make_registry() -> kopf.OperatorRegistry:
    """Give all handlers, wired."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(login)
    kopf.on.startup(registry=registry)(start)
    kopf.on.cleanup(registry=registry)(stop)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(on_build)
    ours = {LABEL_MANAGED_BY: MANAGED_BY}
    kopf.on.event("batch", "v1", "jobs", labels=ours, registry=registry)(on_job)
    kopf.on.event("", "v1", "pods", labels=ours, registry=registry)(on_pod)
    return registry
