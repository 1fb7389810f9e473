"""One exchange: bytes of a review in, bytes of an answer out, by the failure table; the same for every path.

what the endpoint answers 200
MalformedReview, NotAPod  400 / 413 / 415
CatalogNotReady           503
anything else             500, one traceback
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from webhook.core.errors import CatalogNotReady, MalformedReview, NotAPod
from webhook.server import review
from webhook.server.body import BodyCut, BodyLimits, BodyTooLarge, linger, read_body, require_json
from webhook.server.record import Record, Recorder

_JSON: Final = (b"content-type", b"application/json")
_CLOSE: Final = (b"connection", b"close")


class Endpoint:
    """A bare ASGI callable: it awaits nothing but the request's body."""

    def __init__(
        self,
        answer: Callable[[bytes, Record], bytes],
        *,
        limits: BodyLimits,
        recorder: Recorder,
        draining: Callable[[], bool],
    ) -> None:
        """Take what answers a whole body; it may raise whatever the table names."""
        self._answer = answer
        self._limits = limits
        self._recorder = recorder
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
            deep = MalformedReview("body: found it nested too deeply, expected an object as people write them")
            record.failed(deep)
            return review.failure(str(deep))
        except Exception as error:  # noqa: BLE001  # a bug of ours must refuse nothing: failurePolicy decides
            record.failed(error)
            return review.failure("a bug in the webhook; its log has a traceback with this request's uid")

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
