"""The one line that is logged for a request: facts of ours and names, never what a Pod contains."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import structlog

from webhook.core.errors import CatalogNotReady, EvenkeelError, MalformedReview, NotAPod
from webhook.core.outcome import Outcome
from webhook.core.pod import Pod
from webhook.observe import Reason, Result
from webhook.server.body import BodyCut
from webhook.server.review import AdmissionRequest

_LONGEST: Final = 300
_NOBODY_TO_ANSWER: Final = 499
"""What access logs write where the caller went away first."""


class Told(StrEnum):
    """What became of a request to /validate that was understood."""

    WARNED = "warned"
    QUIET = "quiet"


class Heard(StrEnum):
    """Why, where an object was looked at."""

    LINTED = "linted"


class Silence(StrEnum):
    """Why an object was not looked at: nobody would read what is said."""

    NOT_APPLIED = "not-applied"
    DELETED = "deleted"
    CONTROLLED = "controlled"


Count = Callable[[Any, StrEnum, float], None]
"""Counts one request by result and reason, members of the endpoint's enums, with its seconds."""


@dataclass(slots=True)
class Record:
    """What is known of one request so far."""

    started: float = field(default_factory=time.perf_counter)
    status: int = 200
    result: StrEnum = Result.CRASHED
    reason: StrEnum = Reason.BUG
    facts: dict[str, Any] = field(default_factory=dict)

    def requested(self, request: AdmissionRequest) -> None:
        """Note who asks for what."""
        self.facts["uid"] = request.uid[:_LONGEST]
        self.facts["namespace"] = request.namespace[:_LONGEST]
        self.facts["dry_run"] = request.dry_run

    def read(self, pod: Pod) -> None:
        """Note which Pod it is about, and whose."""
        self.facts["pod"] = pod.display_name[:_LONGEST]
        owner = _owner(pod)
        if owner:
            self.facts["owner"] = owner

    def decided(self, outcome: Outcome) -> None:
        """Note what became of it."""
        self.result = Result.SKIPPED if outcome.skip else Result.INJECTED
        self.reason = outcome.skip.reason if outcome.skip else Reason.SELECTED
        self.facts["operations"] = len(outcome.operations)
        self.facts["warnings"] = len(outcome.warnings)

    def rejected(self, problems: int) -> None:
        """Note that the Pod's author has to act."""
        self.result, self.reason = Result.REJECTED, Reason.BAD_VALUE
        self.facts["problems"] = problems

    def about(self, kind: str, name: str) -> None:
        """Note which object it is about."""
        self.facts["object"] = f"{kind}/{name}"[:_LONGEST]

    def told(self, warnings: int, silence: Silence | None) -> None:
        """Note how much there was to say, or why nothing was looked for."""
        self.result = Told.WARNED if warnings else Told.QUIET
        self.reason = silence or Heard.LINTED
        self.facts["warnings"] = warnings

    def failed(self, error: Exception) -> None:
        """Note why there is no review to answer with, and with which HTTP status to say so."""
        self.status, self.result, self.reason = _failure(error)
        if isinstance(error, EvenkeelError):
            self.facts["error"] = str(error)[:_LONGEST]
        else:
            self.facts["exception"] = _where(error)


def _failure(error: Exception) -> tuple[int, Result, Reason]:
    if isinstance(error, MalformedReview):
        return error.status, Result.MALFORMED, getattr(error, "reason", Reason.BAD_REVIEW)
    if isinstance(error, NotAPod):
        return 400, Result.MALFORMED, Reason.NOT_A_POD
    if isinstance(error, CatalogNotReady):
        return 503, Result.UNAVAILABLE, Reason.CATALOG_NOT_READY
    if isinstance(error, BodyCut):
        return _NOBODY_TO_ANSWER, Result.MALFORMED, Reason.CUT_BODY
    return 500, Result.CRASHED, Reason.BUG


def _where(error: Exception) -> str:
    """Give the traceback with the error's type, but without its text: that may quote the Pod."""
    frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)[-30:]))
    return f"Traceback (most recent call last):\n{frames}{type(error).__name__}"


def _owner(pod: Pod) -> str | None:
    owners = (pod.document.get("metadata") or {}).get("ownerReferences")
    if not isinstance(owners, list) or not owners or not isinstance(owners[0], dict):
        return None
    return f"{owners[0].get('kind')}/{owners[0].get('name')}"[:_LONGEST]


class Recorder:
    """Logs and counts each request once."""

    def __init__(self, event: str, count: Count) -> None:
        self._event = event
        self._count = count
        self._log = structlog.get_logger().bind()

    def finish(self, record: Record) -> None:
        """Write the line and count; a full disk or a closed pipe below the log fails no admission."""
        seconds = time.perf_counter() - record.started
        self._count(record.result, record.reason, seconds)
        write = self._log.error if record.result is Result.CRASHED else self._log.info
        with contextlib.suppress(OSError, ValueError):
            write(
                self._event,
                **record.facts,
                result=record.result.value,
                reason=record.reason.value,
                status=record.status,
                seconds=round(seconds, 6),
            )
