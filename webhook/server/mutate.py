"""`POST /mutate`: what becomes of a Pod.

skip, injected           200, allowed true
PodRejected              200, allowed false, 422
all else                 by the table of endpoint.py
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import Receive, Scope, Send

from webhook.core.catalog import Catalog
from webhook.core.errors import PodRejected
from webhook.core.model import Namespace
from webhook.core.outcome import Outcome, Skip, SkipReason
from webhook.core.pod import Pod
from webhook.observe import Metrics
from webhook.server import review
from webhook.server.body import BodyLimits
from webhook.server.endpoint import Endpoint
from webhook.server.record import Record, Recorder
from webhook.server.request_metrics import RequestMetrics


class Admitter(Protocol):
    """The core, as the server calls it."""

    def admit(self, pod: Pod, catalog: Catalog, namespace: Namespace | None, *, draw: str = "") -> Outcome:
        """Decide on a Pod; `draw` is another text for every Pod. Raises PodRejected."""


class Mutate:
    """The endpoint that gives Pods their sidecar, an ASGI callable."""

    def __init__(
        self,
        *,
        admitter: Admitter,
        catalog: Callable[[], Catalog],
        limits: BodyLimits,
        metrics: Metrics,
        draining: Callable[[], bool],
    ) -> None:
        self._admitter = admitter
        self._catalog = catalog
        self._recorder = Recorder("admission", RequestMetrics(metrics.registry, "admission", "/mutate").count)
        self._endpoint = Endpoint(self._answer, limits=limits, recorder=self._recorder, draining=draining)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request; no coroutine of its own, this is the busy path."""
        return self._endpoint(scope, receive, send)

    def _answer(self, body: bytes, record: Record) -> bytes:
        request = review.read_request(body)
        record.requested(request)
        if not request.creates:
            return self._skipped(request, record)
        pod = review.read_subject(request)
        record.read(pod)
        catalog = self._catalog()
        try:
            outcome = self._admitter.admit(pod, catalog, None, draw=request.uid)
        except PodRejected as rejection:
            record.rejected(len(rejection.problems))
            return review.rejected(request.uid, rejection.problems)
        answer = review.allowed(request.uid, outcome)
        record.decided(outcome)
        return answer

    def _skipped(self, request: review.AdmissionRequest, record: Record) -> bytes:
        what = f"{request.operation} {request.sub_resource}".strip()
        outcome = Outcome(Skip(SkipReason.NOT_CREATE, f"only the creation of a Pod is changed, not {what}"))
        record.decided(outcome)
        return review.allowed(request.uid, outcome)
