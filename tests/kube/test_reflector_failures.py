"""A copy that comes back, whatever the API server does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.kube.apiserver import ApiServer, answers, says, status, status_object
from tests.kube.followed import PATH, Follow, at_ease, line, thing
from tests.kube.kit import until


@pytest.mark.parametrize(
    "fault",
    [
        says(line("ERROR", status_object(410, "Expired", "too old resource version"))),
        answers(lambda: status(410, "Expired", "too old resource version")),
        answers(lambda: status(410, "Gone", "")),
        says(line("BOOKMARK", {"metadata": {"resourceVersion": "7"}})),
        says(line("ERROR", status_object(504, "Timeout", "Too large", causes=[{"reason": "ResourceVersionTooLarge"}]))),
    ],
    ids=["in the stream", "as the answer", "without a word", "the future gone", "from the future"],
)
async def test_an_expired_version_is_listed_anew(server: ApiServer, follow: Follow, fault: Any) -> None:
    """After a pause; what was deleted meanwhile is told."""
    server.faults.append(("watch", fault))
    async with follow() as one:
        await one.reflector.wait_synced()
        await server.remove(PATH, thing("b"))
        await at_ease(server, one)

        assert one.changes[3:] == [("DELETED", "b"), ("REPLACED", "")]
        assert one.metric("relists_total", reason="expired") == 1
        assert one.metric("errors_total", reason="expired") == 1
        assert one.metric("connected") == 1
        assert one.time.slept == [pytest.approx(0.3)]


async def test_an_expired_page_begins_the_list_anew(server: ApiServer, follow: Follow) -> None:
    """Half a list is never taken for a whole one."""
    server.limit = 1
    server.faults.append((f"list {PATH}", _expiring(server)))
    async with follow() as one:
        await at_ease(server, one)

        assert one.changes == [("ADDED", "a"), ("ADDED", "b"), ("REPLACED", "")]
        assert [call.query.get("continue", "") for call in server.asked(PATH, watch=False)][:2] == ["", "102/1"]
        assert one.metric("errors_total", reason="expired") == 1


def _expiring(server: ApiServer) -> Any:
    async def fault(request: Any) -> Any:
        answer = server._list(request)
        server.expire()
        return answer

    return fault


async def test_an_outage_is_told_once_and_the_last_state_stays(server: ApiServer, follow: Follow) -> None:
    """However often it is tried; pauses grow to half a minute; it comes back by itself and tells what was missed."""
    with capture_logs() as logs:
        async with follow() as one:
            await at_ease(server, one)
            await server.stop()
            await until(lambda: len(one.time.slept) > 12)

            assert one.known() == {"a", "b"}
            assert one.metric("connected") == 0
            assert [entry["event"] for entry in logs] == ["the API server is lost, what is known stays in use"]
            assert str(one.reflector.last_error).startswith(f"GET {PATH}: no answer: ")
            assert one.time.slept[:3] == [pytest.approx(0.3), pytest.approx(0.6), pytest.approx(1.2)]
            assert max(one.time.slept) == 30
            await server.start()
            await server.remove(PATH, thing("a"))
            await at_ease(server, one)
            await until(lambda: one.known() == {"b"})

            assert one.metric("connected") == 1
            assert one.metric("relists_total", reason="failed") == 1
            assert one.reflector.last_error is None
            assert [entry["event"] for entry in logs][1:] == ["the API server is back"]


async def test_after_a_quiet_time_pauses_are_short_again(server: ApiServer, follow: Follow) -> None:
    """A failure today says nothing about one last week."""
    async with follow() as one:
        for watches in (1, 2, 3):
            await until(lambda count=watches: len(server.asked(PATH, watch=True)) == count and server.watches)
            await until(lambda: one.metric("connected") == 1)
            one.time.now += 3600
            server.cut()
        await until(lambda: len(server.asked(PATH, watch=True)) == 4)

        assert one.time.slept == [pytest.approx(0.3)] * 3


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (
            status(403, "Forbidden", 'x is forbidden: User "jo" cannot list resource "namespaces" in API group ""'),
            "forbidden",
            "jo may not list namespaces; ask for a role that allows it",
        ),
        (status(429, "TooManyRequests", "slow down", {"Retry-After": "7"}), "throttled", "HTTP 429: slow down"),
        (status(500, "InternalError", "oops"), "unreachable", "HTTP 500: oops"),
        (status(404, "NotFound", "no such thing"), "not-found", "not found: no such thing"),
        (status(400, "BadRequest", "what?"), "invalid", "refused: what?"),
        (status(405, "MethodNotAllowed", "no"), "other", "failed: no"),
    ],
)
async def test_a_list_that_fails_is_tried_again(
    server: ApiServer, follow: Follow, answer: Any, reason: str, said: str
) -> None:
    """It is not synced before, and says why; the API server's wish for a pause is kept."""
    held = asyncio.Event()

    async def fails(_: Any) -> Any:
        return answer

    async def waits(request: Any) -> Any:
        await held.wait()
        return server._list(request)

    server.faults += [("list", fails), ("list", waits)]
    async with follow() as one:
        await until(lambda: len(server.asked(PATH, watch=False)) == 2)

        assert not one.reflector.synced
        assert said in str(one.reflector.last_error)
        assert one.time.slept == [7.0 if reason == "throttled" else pytest.approx(0.3)]
        assert one.metric("errors_total", reason=reason) == 1
        held.set()
        await at_ease(server, one)

        assert one.known() == {"a", "b"}


async def test_a_watch_that_fails_again_and_again_is_listed_anew(server: ApiServer, follow: Follow) -> None:
    """Whatever is wrong with the version, no error needs to be known by name."""
    server.faults += [("watch", answers(lambda: status(400, "BadRequest", "bad version")))] * 4
    async with follow() as one:
        await at_ease(server, one)

        assert one.metric("relists_total", reason="failed") == 1
        assert len(server.asked(PATH, watch=False)) == 2
