"""Logs and metrics: one line and one counter step a request; labels come from enums, never from users."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter as Tally
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

from webhook import __version__
from webhook.core.model import Problem


class Result(StrEnum):
    """What became of one request."""

    INJECTED = "injected"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    MALFORMED = "malformed"
    UNAVAILABLE = "unavailable"
    CRASHED = "crashed"


class Reason(StrEnum):
    """Why, beside the reasons of a skip."""

    SELECTED = "selected"
    BAD_VALUE = "bad-value"
    BAD_REVIEW = "bad-review"
    NOT_A_POD = "not-a-pod"
    TOO_LARGE = "too-large"
    WRONG_TYPE = "wrong-content-type"
    SLOW_BODY = "slow-body"
    CUT_BODY = "cut-body"
    CATALOG_NOT_READY = "catalog-not-ready"
    BUG = "bug"


class Metrics:
    """What every program has, in a registry of its own that the metrics of its parts join."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.catalog = CatalogMetrics(registry)
        Gauge("evenkeel_build_info", "1, with the version.", ["version"], registry=registry).labels(__version__).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

    def exposition(self) -> bytes:
        """Give all metrics as Prometheus reads them."""
        return generate_latest(self.registry)


class CatalogMetrics:
    """What is known of the catalog in use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._services = Gauge("evenkeel_catalog_services", "Services in the catalog.", registry=registry)
        self._upstreams = Gauge("evenkeel_catalog_upstreams", "Upstreams in the catalog.", registry=registry)
        self._problems = Gauge(
            "evenkeel_catalog_problems", "What is wrong in Services and left out.", ["code"], registry=registry
        )
        self._success = Gauge(
            "evenkeel_catalog_last_success_timestamp_seconds", "When the catalog was last read.", registry=registry
        )
        self._failures = Counter(
            "evenkeel_catalog_reload_failures", "Changes of the catalog's files that were refused.", registry=registry
        )

    def loaded(self, services: int, upstreams: int, problems: Sequence[Problem]) -> None:
        """Describe a catalog that has come into use."""
        self._services.set(services)
        self._upstreams.set(upstreams)
        self._problems.clear()
        for code, count in Tally(problem.code for problem in problems).items():
            self._problems.labels(code).set(count)
        self.seen()

    def seen(self) -> None:
        """Note that the catalog in use is what the files say now."""
        self._success.set_to_current_time()

    def failed(self) -> None:
        """Count a change that was refused."""
        self._failures.inc()


def render_json(_logger: Any, _method: str, event: dict[str, Any]) -> bytes:
    """Render one log line. It never fails: what orjson cannot hold is written the long way."""
    try:
        return orjson.dumps(event, default=str)
    except TypeError:
        return json.dumps(event, default=str).encode()


def show_controls(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Write out control characters: on a terminal a stranger's text must stay a text."""
    odd = {key: ascii(text) for key, text in event.items() if isinstance(text, str) and not text.isprintable()}
    return event | odd


def configure_logging(log_format: Literal["auto", "json", "console"], level: str) -> None:
    """Send our own log and every library's to standard output, as JSON or for people.

    This is the one global that is set; nothing logs before it is.
    """
    pretty = log_format == "console" or (log_format == "auto" and sys.stdout.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else render_json
    errors: list[Any] = [show_controls] if pretty else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *errors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory() if pretty else structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=False,
    )
    _capture_libraries(shared, errors, renderer if pretty else _as_text, number)


def _as_text(logger: Any, method: str, event: dict[str, Any]) -> str:
    return render_json(logger, method, event).decode()


def _capture_libraries(shared: list[Any], errors: list[Any], renderer: Any, level: int) -> None:
    """Let what libraries log (uvicorn, asyncio) come out as our own lines do."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared, *errors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Uvicorn tells of its own start and end; we say that in words of ours.
    root.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
