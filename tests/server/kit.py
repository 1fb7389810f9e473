"""What tests of the server share: the application in process, and what it logged."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import structlog
from structlog.testing import capture_logs

from tests import builders
from webhook.observe import Metrics
from webhook.server.app import admission_app
from webhook.server.body import BodyLimits
from webhook.server.mutate import Admitter, Mutate

JSON = {"content-type": "application/json"}
INJECTOR = builders.injector()
CATALOG = builders.catalog(builders.service("orders"), builders.service("users"))


class Webhook:
    """The admission application without a socket."""

    def __init__(
        self, admitter: Admitter = INJECTOR, catalog: Any = lambda: CATALOG, limits: BodyLimits | None = None
    ) -> None:
        self.metrics = Metrics()
        self.draining = False
        self.mutate = Mutate(
            admitter=admitter,
            catalog=catalog,
            limits=limits or BodyLimits(4 * 1024 * 1024, 0.9),
            metrics=self.metrics,
            draining=lambda: self.draining,
        )
        self.app = admission_app(self.mutate)

    async def post(self, content: Any, *, path: str = "/mutate", **request: Any) -> httpx.Response:
        """Send bytes, or a document as JSON, and give the answer."""
        body = content if isinstance(content, bytes) or hasattr(content, "__aiter__") else orjson.dumps(content)
        request.setdefault("headers", JSON)
        return await self.call("POST", path, content=body, **request)

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request as it is."""
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://evenkeel") as client:
            return await client.request(method, path, **request)

    def counted(self, result: str, reason: str) -> float:
        """Give how often a result was counted."""
        labels = {"result": result, "reason": reason}
        return self.metrics.registry.get_sample_value("evenkeel_admissions_total", labels) or 0.0


class Raises:
    """A core that fails as it is told."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def admit(self, *_: object, **__: object) -> Any:
        """Raise."""
        raise self.error


@contextmanager
def logs() -> Iterator[list[Any]]:
    """Collect what is logged meanwhile."""
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines


def response(answer: httpx.Response) -> dict[str, Any]:
    """Give the response half of a review."""
    body: dict[str, Any] = answer.json()
    return dict(body["response"])


def patch(answer: httpx.Response) -> list[dict[str, Any]]:
    """Give the operations of an answer."""
    return list(orjson.loads(b64decode(response(answer)["patch"])))
