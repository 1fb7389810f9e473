"""Health and metrics, on a port of their own in the clear: probes and Prometheus bring no certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson
from fastapi import FastAPI, Response

from webhook import __version__
from webhook.observe import Metrics

Check = Callable[[], str | None]
"""Gives a sentence for what is missing, or None."""

_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"


class Readiness:
    """Whether admissions should be sent here: every check is content and nobody wants the process to end."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self._draining = False

    def drain(self) -> None:
        """Say from now on that no new callers are wanted."""
        self._draining = True

    def draining(self) -> bool:
        """Say whether the process is about to end."""
        return self._draining

    def missing(self) -> list[str]:
        """Give a sentence for everything that is missing."""
        said = ((name, check()) for name, check in self._checks.items())
        missing = [f"{name}: {sentence}" for name, sentence in said if sentence]
        return [*missing, "draining: the process is about to end"] if self._draining else missing


def health_app(readiness: Readiness, metrics: Metrics) -> FastAPI:
    """Make the application with /livez, /readyz and /metrics.

    Liveness depends on nothing but the event loop: a restart mends neither a certificate nor a catalog.
    """
    app = FastAPI(title="Evenkeel health", version=__version__, openapi_url=None, redirect_slashes=False)

    @app.get("/livez")
    async def livez() -> Response:
        return _json(200, {"alive": True})

    @app.get("/readyz")
    async def readyz() -> Response:
        missing = readiness.missing()
        return _json(503 if missing else 200, {"ready": not missing, "missing": missing})

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=_EXPOSITION)

    return app


def _json(status: int, value: object) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
