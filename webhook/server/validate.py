"""`POST /validate`: what whoever applies a workload or a Service should hear; nothing is ever denied.

quiet, warned            200, allowed true
all else                 by the table of endpoint.py: the webhook is registered with failurePolicy Ignore
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.types import Receive, Scope, Send

from webhook.core.catalog import Catalog
from webhook.core.model import JsonObject
from webhook.observe import Metrics
from webhook.server import review
from webhook.server.body import BodyLimits
from webhook.server.endpoint import Endpoint
from webhook.server.record import Record, Recorder, Silence
from webhook.server.request_metrics import RequestMetrics

Lint = Callable[[JsonObject, Catalog], Sequence[str]]
"""The core, as the server calls it; raises NotAPod."""

_JUDGED: Final = ("CREATE", "UPDATE")


class Validate:
    """The endpoint that warns, an ASGI callable."""

    def __init__(
        self,
        *,
        lint: Lint,
        catalog: Callable[[], Catalog],
        limits: BodyLimits,
        metrics: Metrics,
        draining: Callable[[], bool],
    ) -> None:
        self._lint = lint
        self._catalog = catalog
        recorder = Recorder("validation", RequestMetrics(metrics.registry, "validation", "/validate").count)
        self._endpoint = Endpoint(self._answer, limits=limits, recorder=recorder, draining=draining)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        return self._endpoint(scope, receive, send)

    def _answer(self, body: bytes, record: Record) -> bytes:
        request = review.read_request(body)
        record.requested(request)
        document = review.read_object(request)
        name = review.object_name(document)
        record.about(document["kind"], name)
        silence = _silence(request, document)
        found = () if silence else self._lint(document, self._catalog())
        record.told(len(found), silence)
        return review.told(request.uid, [f"{document['kind']}/{name}: {warning}" for warning in found])


def _silence(request: review.AdmissionRequest, document: JsonObject) -> Silence | None:
    """Say why nobody is there to hear, or nothing."""
    metadata = document["metadata"]
    owners = metadata.get("ownerReferences")
    if request.operation not in _JUDGED or request.sub_resource:
        return Silence.NOT_APPLIED
    if metadata.get("deletionTimestamp"):
        return Silence.DELETED
    if isinstance(owners, list) and any(isinstance(owner, dict) and owner.get("controller") for owner in owners):
        # A controller made it: its author has heard, when applying the owner.
        return Silence.CONTROLLED
    return None
