"""The admission application: `POST /mutate` and `POST /validate`, and a sentence for everything else."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from webhook import __version__
from webhook.server import review
from webhook.server.mutate import Mutate
from webhook.server.validate import Validate

_MUTATE, _VALIDATE = "/mutate", "/validate"
_LONGEST = 80


class _Application(FastAPI):
    """A FastAPI application with a direct way to its busy endpoint.

    The middleware that FastAPI puts around every route costs a third of an admission's time;
    the endpoint answers its own errors and needs none of it.
    """

    def __init__(self, mutate: Mutate) -> None:
        super().__init__(title="Evenkeel", version=__version__, openapi_url=None, redirect_slashes=False)
        self._mutate = mutate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == _MUTATE and scope["method"] == "POST":
            await self._mutate(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def admission_app(mutate: Mutate, validate: Validate | None = None) -> FastAPI:
    """Make the application that the API server calls; without `validate` that path is not served.

    Any other path is 404, any other method 405, each with one sentence as JSON.
    """
    app = _Application(mutate)
    served: dict[str, ASGIApp] = {_MUTATE: mutate} if validate is None else {_MUTATE: mutate, _VALIDATE: validate}
    app.router.routes += [Route(path, endpoint, methods=["POST"]) for path, endpoint in served.items()]
    app.state.served = " or ".join(f"POST {path}" for path in served)
    app.add_exception_handler(HTTPException, _refuse)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """Say which method and path are served; the line in the log is the only trace of such a call."""
    found = f"{request.method} {request.url.path}"[:_LONGEST]
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    structlog.get_logger().info(
        "refused", method=request.method[:_LONGEST], path=request.url.path[:_LONGEST], status=status
    )
    body = review.failure(f"found {found!r}, expected {request.app.state.served}")
    return Response(body, status, {**headers, "connection": "close"}, "application/json")
