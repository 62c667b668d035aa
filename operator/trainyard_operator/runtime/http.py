"""The one port of the operator: /metrics, /healthz and /readyz."""

from aiohttp import web

from trainyard_operator.runtime.health import Health
from trainyard_operator.runtime.metrics import Metrics


def application(metrics: Metrics, health: Health) -> web.Application:
    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def probe(*, readiness: bool) -> web.Response:
        problems = health.problems(readiness=readiness)
        lines = problems or ["ok", *(health.notes() if readiness else [])]
        return web.Response(text="\n".join(lines) + "\n", status=503 if problems else 200)

    async def healthz(_: web.Request) -> web.Response:
        return probe(readiness=False)

    async def readyz(_: web.Request) -> web.Response:
        return probe(readiness=True)

    app = web.Application()
    app.add_routes([web.get("/metrics", scrape), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app


async def serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Start serving; the caller cleans the runner up.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
