"""One thing is broken in a cluster in which all else is well: the check that is for it says so, with the remedy."""

from __future__ import annotations

import asyncio

import pytest

import tests.check.faults_workloads  # noqa: F401 it adds to the table
from tests.check import world
from tests.check.api import FakeApi, Json
from tests.check.faults import FAULTS
from tests.check.kit import findings, lines
from webhook.check.model import Result
from webhook.kube.errors import Unreachable


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_found_and_named(name: str) -> None:
    """Whoever reads the report learns what is wrong where, and what would mend it."""
    broken, check, result, says = FAULTS[name]
    api = world.healthy()
    broken(api)

    found = (await findings(api))[check]

    assert found.result is result
    assert says in "\n".join(found.found)
    assert found.remedy or found.result is Result.SKIPPED


async def test_a_healthy_cluster_has_nothing_but_ticks() -> None:
    """No check cries wolf."""
    found = await findings(world.healthy())

    assert {name: finding for name, finding in found.items() if finding.result is not Result.OK} == {}


async def test_an_api_server_that_does_not_answer_is_one_cross() -> None:
    """Everything else needs it, and is skipped with that reason."""
    api = world.healthy()
    api.broken["/version"] = Unreachable("get", "/version", "connection refused")

    found = await findings(api)

    assert found.pop("api-reachable").result is Result.FAILED
    assert {finding.result for finding in found.values()} == {Result.SKIPPED}
    assert {finding.found for finding in found.values()} == {("not looked at: 'the API server answers' failed",)}


async def test_what_hangs_is_told_once_and_not_waited_for_again() -> None:
    """The first check that needs it runs out of time; those after it do not begin to wait."""
    api = world.healthy()
    listed = []

    async def hang(path: str, **params: str) -> Json:
        if path.endswith("/services"):
            listed.append(path)
            await asyncio.Event().wait()
        return await FakeApi.list(api, path, **params)  # type: ignore[return-value]

    api.list = hang  # type: ignore[method-assign,assignment]
    found = {line.name: line.finding for line in await lines(api, limit=0.05)}

    assert found["upstreams"].found == ("no result within 0.05 s",)
    assert found["not-headless"].result is Result.SKIPPED
    assert found["dry-run"].result is Result.OK
    assert len(listed) == 1
