"""The one module that calls the Kubernetes API.

Objects go in and out as the API writes them; every request is counted, has a time limit, and fails as an `ApiError`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from aiohttp import ClientError
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from image_composer.digest import bytes_sha256
from image_composer_operator.metrics import Metrics
from image_composer_operator.model import Body, parse_time
from image_composer_operator.names import API_VERSION, GROUP, KIND, LABEL_JOB, OPERATOR, SELECTOR, VERSION
from image_composer_operator.observe import Warned

Resource = Literal["imagebuilds", "jobs", "pods", "events", "configmaps", "namespaces"]

PREFIXES: Mapping[Resource, str] = {
    "imagebuilds": f"/apis/{GROUP}/{VERSION}",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "configmaps": "/api/v1",
    "namespaces": "/api/v1",
}

TIMEOUT_SECONDS = 30.0
"""Longest time for one request: the API server's own limit for one that is not a watch is 60 s."""

PAGE = 100
"""Objects a page of a list: 100 builder pods are 1.3 MiB or more, and 6 MiB once they are read."""

WARNINGS = "type=Warning,reason!=FailedScheduling,involvedObject.kind!=ImageBuild"
"""Fields of Events that say why a Job or a pod doesn't get on: not our own, nor the scheduler's, which a pod's status
repeats and which are as many as there are waiting pods."""

EVENT_MESSAGE = 1024
"""Longest message of an Event that the API server takes."""

MERGE_PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The API did not do what it was asked for.

    Args:
        status: of the HTTP answer; 0 when there was none.
        message: the server's sentence.
        reason: the server's word, for example AlreadyExists.
    """

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the objects of a kind at one moment, which is the same for all pages."""

    items: Sequence[Body]
    version: str
    """Resource version of the moment: what is newer may be missing."""


async def connect(metrics: Metrics) -> Cluster:
    """Give the cluster that this process is in, or the one that the kubeconfig names.

    Raises:
        ApiError: neither is there.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except ConfigException:
        try:
            await config.load_kube_config(client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise ApiError(0, f"neither in a cluster nor with a usable kubeconfig: {error}") from error
    return Cluster(client.ApiClient(configuration), metrics)


class Cluster:
    """The Kubernetes API, as far as the operator uses it."""

    def __init__(self, api: client.ApiClient, metrics: Metrics) -> None:
        self._api = api
        self._metrics = metrics

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def pages(
        self, resource: Resource, namespace: str | None, selector: str = "", fields: str = ""
    ) -> AsyncIterator[Page]:
        """Give all objects of a namespace, or of the cluster, page by page: a thousand pods would fill 60 MiB."""
        query = {"limit": str(PAGE), "labelSelector": selector, "fieldSelector": fields}
        while True:
            answer = await self._request("GET", resource, namespace, query=query)
            query["continue"] = answer["metadata"].get("continue", "")
            yield Page(answer["items"], answer["metadata"]["resourceVersion"])
            if not query["continue"]:
                return

    async def list_pods(self, namespace: str, job: str) -> Sequence[Body]:
        """Give the pods of a Job, as they are this very moment."""
        selector = f"{SELECTOR},{LABEL_JOB}={job}"
        return [item async for page in self.pages("pods", namespace, selector) for item in page.items]

    async def get(self, resource: Resource, namespace: str, name: str) -> Body | None:
        """Give an object, or nothing when there is none."""
        try:
            return await self._request("GET", resource, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def patch_status(self, build: Body, patch: Mapping[str, Any]) -> Body:
        """Change an ImageBuild's status, if the object is still the one that was decided upon."""
        metadata = build["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": patch}
        name = f"{metadata['name']}/status"
        return await self._request("PATCH", "imagebuilds", metadata["namespace"], name, body=body)

    async def patch_finalizers(self, build: Body, finalizers: list[str]) -> Body:
        """Change an ImageBuild's finalizers, if the object is still the one that was decided upon."""
        metadata = build["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": finalizers}}
        return await self._request("PATCH", "imagebuilds", metadata["namespace"], metadata["name"], body=body)

    async def create_job(self, manifest: Mapping[str, Any]) -> Body:
        """Make a Job."""
        return await self._request("POST", "jobs", manifest["metadata"]["namespace"], body=manifest)

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job; it stays until its pods have ended. One that is gone already is fine."""
        body = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        await self._delete("jobs", namespace, name, body)

    async def delete_build(self, build: Body) -> None:
        """Delete an ImageBuild."""
        metadata = build["metadata"]
        body = {"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}}
        await self._delete("imagebuilds", metadata["namespace"], metadata["name"], body)

    async def warnings(self, namespace: str) -> Mapping[str, Sequence[Warned]]:
        """Give the warnings that the cluster has posted in a namespace, oldest first, by the uid of their objects."""
        found: dict[str, list[Warned]] = {}
        async for page in self.pages("events", namespace, fields=WARNINGS):
            for item in page.items:
                found.setdefault(item["involvedObject"].get("uid", ""), []).append(_warned(item))
        return {uid: sorted(warnings, key=lambda warning: warning.at) for uid, warnings in found.items()}

    async def post_event(self, build: Body, *, kind: str, reason: str, message: str, instance: str) -> None:
        """Post an Event about an ImageBuild."""
        metadata = build["metadata"]
        now = datetime.now(UTC)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "type": kind,
            "reason": reason,
            "message": message[:EVENT_MESSAGE],
            "source": {"component": OPERATOR},
            "reportingComponent": OPERATOR,
            "reportingInstance": instance,
            "firstTimestamp": now.isoformat(timespec="seconds"),
            "lastTimestamp": now.isoformat(timespec="seconds"),
            "count": 1,
        }
        await self._request("POST", "events", metadata["namespace"], body=event)

    async def config_digest(self, namespace: str, name: str, key: str) -> str | None:
        """Give the SHA-256 of what a ConfigMap holds under a key; nothing when it isn't there."""
        text = await self.config_text(namespace, name, key)
        return bytes_sha256(text.encode()) if text is not None else None

    async def config_text(self, namespace: str, name: str, key: str) -> str | None:
        """Give what a ConfigMap holds under a key; nothing when it isn't there."""
        found = await self.get("configmaps", namespace, name)
        text = ((found or {}).get("data") or {}).get(key)
        return str(text) if text is not None else None

    async def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Give the labels of a namespace."""
        found = await self._request("GET", "namespaces", None, name)
        return found["metadata"].get("labels") or {}

    async def _delete(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        try:
            await self._request("DELETE", resource, namespace, name, body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    async def _request(
        self,
        method: str,
        resource: Resource,
        namespace: str | None,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None else ""
        path = f"{PREFIXES[resource]}{scope}/{resource}" + (f"/{quote(name, safe='/')}" if name else "")
        status, answer = await self._send(method, path, query or {}, body)
        self._metrics.api_requests.labels(method, resource, str(status)).inc()
        if 200 <= status < 300:
            return answer
        raise ApiError(status, answer.get("message", f"status {status}"), answer.get("reason", ""))

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        headers = {
            "Accept": "application/json",
            "Content-Type": MERGE_PATCH if method == "PATCH" else "application/json",
        }
        request = await self._api.param_serialize(
            method,
            path,
            query_params=[(key, value) for key, value in query.items() if value],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            content: bytes = await response.read()
        except client.ApiException as error:
            return error.status or 0, _parsed(error.body)
        except (ClientError, TimeoutError, OSError) as error:
            return 0, {"message": f"the API server does not answer: {error or type(error).__name__}"}
        return response.status, _parsed(content)


def _parsed(content: bytes | str | None) -> dict[str, Any]:
    try:
        answer = json.loads(content or b"{}")
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": str(content)[:200]}


def _warned(event: Body) -> Warned:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"]["creationTimestamp"])
    at = parse_time(next(time for time in times if time))
    return Warned(reason=event.get("reason", ""), message=event.get("message", ""), at=at)
