"""Log lines as they reach standard output."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from webhook.observe import configure_logging


@pytest.fixture(autouse=True)
def _global_state() -> Iterator[None]:
    """Put back what logging had: it is one for the process."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def _lines(capfdbinary: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]


def test_a_line_is_one_json_object(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Line breaks and escape sequences of strangers stay inside their text."""
    configure_logging("json", "info")

    structlog.get_logger().info("admission", pod="a\nb\x1b[31m", count=2)

    (line,) = _lines(capfdbinary)
    assert ("admission", "a\nb\x1b[31m", 2, "info") == (line["event"], line["pod"], line["count"], line["level"])


def test_what_json_can_hardly_hold_is_logged_all_the_same(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A lone surrogate, a huge number or an object never loses the line."""
    configure_logging("json", "info")

    structlog.get_logger().info("odd", text="\udc80", number=2**80, thing=object)

    (line,) = _lines(capfdbinary)
    assert ("\udc80", 2**80) == (line["text"], line["number"])


def test_libraries_log_json_too(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A traceback of uvicorn's is one line as well."""
    configure_logging("json", "info")

    try:
        raise ValueError("a")  # noqa: TRY301
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in %s", "ASGI")

    (line,) = _lines(capfdbinary)
    assert ("Exception in ASGI", "uvicorn.error", "error") == (line["event"], line["logger"], line["level"])
    assert "ValueError: a" in line["exception"]


def test_the_level_holds(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What is below it is not written."""
    configure_logging("json", "warning")

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert ["loud"] == [line["event"] for line in _lines(capfdbinary)]


def test_the_console_form_is_for_people(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """It is no JSON, and control characters are written out."""
    configure_logging("console", "info")

    structlog.get_logger().info("admission", pod="a\x1b[31mb")

    out = capfdbinary.readouterr().out
    assert b"admission" in out
    assert b"a\x1b[31mb" not in out
