"""Runs a whole check-up against a cluster in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

from tests.check.api import FakeApi
from tests.check.world import NOW
from webhook.check.facts import Facts
from webhook.check.installed import Installed
from webhook.check.model import Finding, Line
from webhook.check.place import Place
from webhook.check.registry import AFTER
from webhook.check.run import Check, Context, run
from webhook.check.shipped import Shipped, load_shipped


def context(api: FakeApi, *, shipped: Callable[[], Shipped] | None = None) -> Context:
    """Make what every check is given."""
    place = Place()
    facts = Facts(api, place)
    return Context(facts, place, shipped or cache(partial(load_shipped, place)), Installed(facts), lambda: NOW)


async def lines(
    api: FakeApi, checks: Sequence[Check] = AFTER, *, limit: float = 10, made: Context | None = None
) -> list[Line]:
    """Run checks against a cluster."""
    return await run(checks, made or context(api), limit=limit, begins=lambda _: None, ends=lambda _: None)


async def findings(api: FakeApi, checks: Sequence[Check] = AFTER, *, made: Context | None = None) -> dict[str, Finding]:
    """Run checks and give the finding of each, by name."""
    return {line.name: line.finding for line in await lines(api, checks, made=made)}
