"""One check after the other, whatever becomes of each."""

from __future__ import annotations

import asyncio

import pytest

from tests.check import world
from tests.check.kit import context
from webhook.check.model import Finding, NotAllowed, Result, Unknown, failed, ok, skipped, together, warning
from webhook.check.once import Once
from webhook.check.registry import AFTER, BEFORE
from webhook.check.run import Check, Context, run
from webhook.kube.errors import ClusterError, Forbidden, Unreachable


def check(name: str, outcome: Finding | Exception | None = None, *needs: str) -> Check:
    """Make a check that gives or raises something, or hangs."""

    async def look(_: Context) -> Finding:
        if outcome is None:
            await asyncio.Event().wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or ok()

    return Check("any", name, f"title of {name}", look, needs)


async def results(*checks: Check) -> list[tuple[Result, tuple[str, ...]]]:
    """Run checks with little patience."""
    lines = await run(checks, context(world.healthy()), limit=0.01, begins=lambda _: None, ends=lambda _: None)
    return [(line.finding.result, line.finding.found) for line in lines]


@pytest.mark.parametrize(
    ("raised", "result", "says"),
    [
        (KeyError("spec"), Result.FAILED, "the check itself broke: KeyError: 'spec'"),
        (Unreachable("get", "/x", "refused"), Result.FAILED, "get /x: no answer: refused"),
        (ClusterError("get", "/x", "odd", status=405), Result.FAILED, "get /x: failed: odd"),
        (Forbidden("get", "/x", "no", status=403), Result.WARNING, "cannot be looked at: get /x: forbidden: no"),
        (NotAllowed("no"), Result.WARNING, "cannot be looked at: no"),
        (Unknown("it is not there"), Result.SKIPPED, "cannot be judged: it is not there"),
        (None, Result.FAILED, "no result within 0.01 s"),
    ],
    ids=["bug", "unreachable", "other", "forbidden", "not-allowed", "unknown", "hangs"],
)
async def test_what_becomes_of_one_check_ends_no_run(raised: Exception | None, result: Result, says: str) -> None:
    """It is reported as what it is, and the next one runs."""
    assert await results(check("a", raised), check("b", ok("fine"))) == [(result, (says,)), (Result.OK, ("fine",))]


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (failed("x"), "not looked at: 'title of a' failed"),
        (skipped("x"), "not looked at: 'title of a' was skipped"),
        (warning("x"), None),
        (ok(), None),
    ],
)
async def test_a_check_whose_precondition_is_broken_is_skipped(before: Finding, says: str | None) -> None:
    """With the reason; a warning breaks nothing."""
    _, second = await results(check("a", before), check("b", ok("fine"), "a"))

    assert second == ((Result.SKIPPED, (says,)) if says else (Result.OK, ("fine",)))


async def test_beginnings_and_ends_are_told_as_they_come() -> None:
    """So that progress can be seen."""
    told: list[str] = []
    await run(
        [check("a", ok()), check("b", ok())],
        context(world.healthy()),
        limit=1,
        begins=lambda one: told.append(f"begin {one.name}"),
        ends=lambda line: told.append(f"end {line.name}"),
    )

    assert told == ["begin a", "end a", "begin b", "end b"]


@pytest.mark.parametrize("checks", [BEFORE, AFTER], ids=["before", "after"])
def test_every_name_is_unique_and_every_need_stands_before(checks: tuple[Check, ...]) -> None:
    """The names stand in the JSON output; a need that comes later could not be judged."""
    names = [one.name for one in checks]

    assert len(set(names)) == len(names)
    for at, one in enumerate(checks):
        assert set(one.needs) <= set(names[:at])


def test_the_worst_of_several_findings_counts_and_all_are_told() -> None:
    """The gravest first, each once."""
    several = [warning("w", remedy="r"), ok("fine"), failed("f", remedy=["q", "r"]), warning("w")]

    assert together(several, ok()) == Finding(Result.FAILED, ("f", "w"), ("q", "r"))
    assert together([ok("fine")], ok("both")) == ok("both")


async def test_an_answer_is_asked_for_once() -> None:
    """Also one that was an error."""
    asked: list[int] = []

    async def refuse() -> str:
        asked.append(1)
        raise Forbidden("get", "/x", "no", status=403)

    once = Once()
    for _ in range(2):
        with pytest.raises(NotAllowed):
            await once.get("key", refuse)

    assert asked == [1]


async def test_a_healthy_run_reads_everything_once() -> None:
    """However many checks look at it."""
    api = world.healthy()
    await run(AFTER, context(api), limit=10, begins=lambda _: None, ends=lambda _: None)
    reads = [one for one in api.asked if one.startswith(("get", "list"))]
    pods = [one for one in reads if one.endswith("/pods")]

    assert [one for one in set(reads) - set(pods) if reads.count(one) > 1] == []
    assert len(pods) == 5  # of the webhook, the reconciler, the labelled namespace; those that opted in; the injected
