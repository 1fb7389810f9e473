"""`POST /mutate`: bytes of a review in, bytes of a review out, by the failure table.

skip, injected           200, allowed true
PodRejected              200, allowed false, 422
MalformedReview, NotAPod 400 / 413 / 415
CatalogNotReady          503
anything else            500, one traceback
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import Receive, Scope, Send

from webhook.core.catalog import Catalog
from webhook.core.errors import CatalogNotReady, MalformedReview, NotAPod, PodRejected
from webhook.core.model import Namespace, Outcome, Skip, SkipReason
from webhook.core.pod import Pod
from webhook.observe import Metrics
from webhook.server import review
from webhook.server.body import BodyCut, BodyLimits, BodyTooLarge, linger, read_body, require_json
from webhook.server.record import Record, Recorder

_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")


class Admitter(Protocol):
    """The core, as the server calls it."""

    def admit(self, pod: Pod, catalog: Catalog, namespace: Namespace | None) -> Outcome:
        """Decide on a Pod; raises PodRejected."""


class Mutate:
    """The endpoint, a bare ASGI callable: it awaits nothing but the request's body."""

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
        self._limits = limits
        self._recorder = Recorder(metrics)
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; log and count it once."""
        record = Record()
        try:
            headers = scope["headers"]
            require_json(headers)
            body = await read_body(headers, receive, self._limits)
        except MalformedReview as error:
            await self._refuse_unread(error, record, receive, send)
        except BodyCut as error:
            record.failed(error)
            self._recorder.finish(record)
        else:
            answer = self._judge(body, record)
            self._recorder.finish(record)
            await self._start(send, record.status, len(answer), close=self._draining())
            await send({"type": "http.response.body", "body": answer})

    def _judge(self, body: bytes, record: Record) -> bytes:
        try:
            return self._answer(body, record)
        except (MalformedReview, NotAPod, CatalogNotReady) as error:
            record.failed(error)
            return review.failure(str(error))
        except RecursionError:
            deep = MalformedReview("body: found it nested too deeply, expected a Pod as people write them")
            record.failed(deep)
            return review.failure(str(deep))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not refuse a Pod: failurePolicy decides
            record.failed(error)
            return review.failure("a bug in the webhook; its log has a traceback with this request's uid")

    def _answer(self, body: bytes, record: Record) -> bytes:
        request = review.read_request(body)
        record.requested(request)
        if not request.creates:
            return self._skipped(request, record)
        pod = review.read_subject(request)
        record.read(pod)
        catalog = self._catalog()
        try:
            outcome = self._admitter.admit(pod, catalog, None)
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

    async def _refuse_unread(self, error: MalformedReview, record: Record, receive: Receive, send: Send) -> None:
        """Answer before the body is complete, and close: where the next request would begin is not known."""
        record.failed(error)
        self._recorder.finish(record)
        answer = review.failure(str(error))
        await self._start(send, record.status, len(answer), close=True)
        await send({"type": "http.response.body", "body": answer, "more_body": True})
        if isinstance(error, BodyTooLarge) or record.status == 415:  # noqa: PLR2004
            await linger(receive, self._limits.seconds)
        await send({"type": "http.response.body", "body": b""})

    @staticmethod
    async def _start(send: Send, status: int, length: int, *, close: bool) -> None:
        headers = [_JSON, (b"content-length", b"%d" % length)]
        if close:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": headers})
