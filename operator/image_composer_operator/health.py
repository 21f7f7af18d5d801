"""The operator's own HTTP server: metrics, and whether it is alive and ready."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from image_composer_operator.service import Service


class HealthServer:
    """Serves /metrics, /healthz and /readyz."""

    def __init__(self, service: Service) -> None:
        self._service = service
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, port: int) -> int:
        """Listen on all addresses; give the port, which the system chose when it was 0."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, None, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        self._service.measure()
        content = generate_latest(self._service.metrics.registry)
        return web.Response(body=content, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _: web.Request) -> web.Response:
        """Fail when the process had better be started anew: it has gone deaf or one of its tasks has died."""
        problems = self._service.problems()
        return web.Response(status=500 if problems else 200, text="; ".join(problems) or "ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        """Fail until everything has been listed once."""
        ready = self._service.synced.is_set()
        return web.Response(status=200 if ready else 503, text="ok" if ready else "still listing")
