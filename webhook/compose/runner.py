"""What both long-running commands share: how a process begins, tells its problems, and ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop

from webhook.core.errors import SettingsError
from webhook.observe import configure_logging
from webhook.server.listen import bind
from webhook.settings import Settings

Helpers = dict[str, Callable[[], Coroutine[Any, Any, None]]]
"""What goes on beside the servers for as long as the process lives, by name."""

_Part = TypeVar("_Part")


def run(main: Callable[[Settings], Awaitable[None]], settings: Settings) -> int:
    """Run a command until it returns, and give the exit code: 0, or 1 if a part of it died.

    Passes on what it raises before it begins: SettingsError, ClusterError.
    """
    configure_logging(settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_as_coroutine(main, settings))
        except ExceptionGroup:
            structlog.get_logger().exception("a part of the process died")
            return 1
    return 0


async def _as_coroutine(main: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    await main(settings)


def attempt(problems: list[str], make: Callable[[], _Part]) -> _Part | None:
    """Make a part; what is wrong with it joins the problems of the others."""
    try:
        return make()
    except SettingsError as error:
        problems += error.problems
        return None


def listeners(settings: Settings, *names: str) -> list[socket.socket]:
    """Bind the ports of these settings; raises SettingsError, with none left bound, if one cannot be had."""
    bound: list[socket.socket] = []
    try:
        for name in names:
            bound.append(bind(name, settings.host, getattr(settings, name)))  # noqa: PERF401 - closed if one fails
    except SettingsError:
        for one in bound:
            one.close()
        raise
    return bound
