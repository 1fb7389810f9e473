"""A copy that follows the API server whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.kube.apiserver import ApiServer, answers, hangs, says, status, status_object
from tests.kube.kit import Json, Time, running, until
from webhook.kube.api import Api
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.reflector import Change, ChangeKind, Key, Reflector
from webhook.kube.resources import NAMESPACES

PATH = NAMESPACES.path()
RESTART = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}\n'


def thing(name: str, **labels: str) -> Json:
    """Make a small object."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def line(kind: str, obj: Json) -> bytes:
    """Write an event."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


class Followed:
    """A reflector with all that it told."""

    def __init__(self, api: Api, time: Time, **options: Any) -> None:
        self.changes: list[tuple[str, str]] = []
        self.registry = CollectorRegistry()
        self.time = time
        observer = DiscoveryMetrics(self.registry, now=lambda: time.now).of("namespaces")
        spans = {"silent_seconds": options.pop("silent_seconds", 30.0)}
        options = {"keep": lambda found: found["metadata"].get("labels"), "pace": time.pace(**spans)} | options
        self.reflector = Reflector(api, NAMESPACES, handler=self._heard, observer=observer, **options)

    def _heard(self, change: Change) -> None:
        self.changes.append((change.kind.value, change.key.name))

    def known(self) -> set[str]:
        """Give the names that are known."""
        return {key.name for key in self.reflector.objects}

    def metric(self, name: str, **labels: str) -> float | None:
        """Read a metric."""
        return self.registry.get_sample_value(f"evenkeel_discovery_{name}", {"resource": "namespaces", **labels})


Follow = Callable[..., Any]


@pytest.fixture
def follow(server: ApiServer, api: Api) -> Follow:
    """Give a way to follow the server's namespaces; two are there."""

    @asynccontextmanager
    async def followed(**options: Any) -> AsyncIterator[Followed]:
        for name in ("a", "b"):
            await server.put(PATH, thing(name))
        one = Followed(api, Time(), **options)
        async with running(one.reflector.run()):
            yield one

    return followed


async def at_ease(server: ApiServer, one: Followed, watches: int = 1) -> None:
    """Wait until a watch is open."""
    await until(lambda: one.reflector.synced and len(server.open(PATH)) == watches)


async def test_lists_then_follows(server: ApiServer, follow: Follow) -> None:
    """Each object, a mark that all are in, then what changes; what `keep` does not hold is no change."""
    async with follow() as one:
        await at_ease(server, one)
        await server.put(PATH, thing("a"))
        await server.put(PATH, thing("a", x="1"))
        await server.put(PATH, thing("c"))
        await server.remove(PATH, thing("b"))
        await until(lambda: one.known() == {"a", "c"})

        assert one.changes == [
            ("ADDED", "a"),
            ("ADDED", "b"),
            ("REPLACED", ""),
            ("MODIFIED", "a"),
            ("ADDED", "c"),
            ("DELETED", "b"),
        ]
        assert one.reflector.objects[Key("", "a")] == {"x": "1"}
        assert one.metric("connected") == 1
        assert one.metric("objects") == 2
        assert one.metric("last_contact_timestamp_seconds") == one.time.now
        assert one.metric("relists_total", reason="start") == 1


async def test_reads_page_by_page(server: ApiServer, follow: Follow) -> None:
    """And watches from the version of the list, which the API server gave for all pages."""
    server.limit = 1
    async with follow(label_selector="x!=1") as one:
        await at_ease(server, one)

        lists, (watch,) = server.asked(PATH, watch=False), server.asked(PATH, watch=True)
        assert one.changes == [("ADDED", "a"), ("ADDED", "b"), ("REPLACED", "")]
        assert [call.query.get("continue") for call in lists] == [None, f"{server.version}/1"]
        assert {call.query["labelSelector"] for call in [*lists, watch]} == {"x!=1"}
        assert "resourceVersion" not in lists[0].query
        assert watch.query["resourceVersion"] == str(server.version)
        assert watch.query["allowWatchBookmarks"] == "true"
        assert watch.query["timeoutSeconds"] == "450"


async def test_what_keep_does_not_want_is_not_there(server: ApiServer, follow: Follow) -> None:
    """It comes and goes as if it were created and deleted."""
    async with follow(keep=lambda found: found["metadata"]["labels"].get("x")) as one:
        await at_ease(server, one)
        await server.put(PATH, thing("a", x="1"))
        await until(lambda: one.known() == {"a"})
        await server.put(PATH, thing("a"))
        await until(lambda: not one.known())

        assert one.changes == [("REPLACED", ""), ("ADDED", "a"), ("DELETED", "a")]


async def test_a_broken_watch_goes_on_where_it_broke(server: ApiServer, follow: Follow) -> None:
    """A change meanwhile is not lost, nothing is listed again, and there is a pause."""
    async with follow() as one:
        await at_ease(server, one)
        await server.bookmark(PATH)
        marked = server.version
        await until(lambda: one.reflector._version == str(marked))
        server.cut()
        await until(lambda: len(server.asked(PATH, watch=True)) == 2)
        await server.put(PATH, thing("c"))
        await until(lambda: "c" in one.known())

        assert len(server.asked(PATH, watch=False)) == 1
        assert server.asked(PATH, watch=True)[-1].query["resourceVersion"] == str(marked)
        assert one.time.slept == [pytest.approx(0.3)]


@pytest.mark.parametrize(
    "fault",
    [
        says(line("ERROR", status_object(410, "Expired", "too old resource version"))),
        answers(lambda: status(410, "Expired", "too old resource version")),
        answers(lambda: status(410, "Gone", "")),
        says(line("ERROR", status_object(504, "Timeout", "Too large", causes=[{"reason": "ResourceVersionTooLarge"}]))),
    ],
    ids=["in the stream", "as the answer", "without a word", "from the future"],
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


@pytest.mark.parametrize("length", [200_000, 3_000_000])
async def test_long_lines_are_events(server: ApiServer, follow: Follow, length: int) -> None:
    """However many pieces they come in."""
    async with follow() as one:
        await at_ease(server, one)
        await server.put(PATH, thing("c", x="y" * length))
        await until(lambda: "c" in one.known())

        assert len(one.reflector.objects[Key("", "c")]["x"]) == length


async def test_half_a_line_is_no_event(server: ApiServer, follow: Follow) -> None:
    """What was cut off comes whole with the next watch."""
    whole = line("ADDED", {**thing("c"), "metadata": {"name": "c", "labels": {}, "resourceVersion": "102"}})
    server.faults.append(("watch", says(whole, line("ADDED", thing("d"))[:-2], cut=True)))
    async with follow() as one:
        await at_ease(server, one)

        assert one.known() == {"a", "b", "c"}
        assert len(server.asked(PATH, watch=True)) == 2
        assert len(server.asked(PATH, watch=False)) == 1


@pytest.mark.parametrize("begun", [True, False])
async def test_a_silent_watch_is_given_up(server: ApiServer, follow: Follow, begun: bool) -> None:
    """A dead connection says nothing, and nobody closes it; a list asks for an answer."""
    never = asyncio.Event()
    server.faults.append(("watch", hangs(never, begun=begun)))
    with capture_logs() as logs:
        async with follow(silent_seconds=0.05) as one:
            await until(lambda: one.metric("relists_total", reason="silent"))
            never.set()

            assert one.metric("errors_total", reason="silent") >= 1
            assert one.metric("connected") == 1
    assert logs == []


@pytest.mark.parametrize("junk", [b"<html>\n", b"7\n", b'{"type":"ADDED"}\n', b'{"object":{}}\n'])
async def test_what_is_no_event_ends_the_watch(server: ApiServer, follow: Follow, junk: bytes) -> None:
    """Something stands between; nothing of it is believed, and it is not asked without a pause."""
    server.faults.append(("watch", says(junk)))
    async with follow() as one:
        await at_ease(server, one)

        assert one.known() == {"a", "b"}
        assert one.metric("errors_total", reason="unreachable") == 1
        assert one.time.slept == [pytest.approx(0.3)]


async def test_a_watch_that_ends_at_once_is_not_asked_for_without_a_pause(server: ApiServer, follow: Follow) -> None:
    """Nothing failed, but it may do so for ever."""
    server.faults += [("watch", says())] * 3
    async with follow() as one:
        await at_ease(server, one)

        assert one.time.slept == [pytest.approx(0.3), pytest.approx(0.6), pytest.approx(1.2)]
        assert len(server.asked(PATH, watch=False)) == 1


async def test_a_watch_that_ends_in_its_time_goes_on_at_once(server: ApiServer, follow: Follow) -> None:
    """From the last version, which a bookmark may have brought."""
    async with follow() as one:

        async def ends(request: Any) -> Any:
            one.time.now += 300
            return await says(RESTART)(request)

        await at_ease(server, one)
        server.faults.append(("watch", ends))
        server.cut()
        await until(lambda: len(server.asked(PATH, watch=True)) == 3)

        assert server.asked(PATH, watch=True)[-1].query["resourceVersion"] == "1"
        assert len(one.time.slept) == 1


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


async def test_what_a_handler_raises_is_not_swallowed(server: ApiServer, api: Api) -> None:
    """It is a bug of ours; whoever runs the reflector ends."""

    def broken(change: Change) -> None:
        raise ZeroDivisionError(change.kind)

    await server.put(PATH, thing("a"))
    with pytest.raises(ZeroDivisionError, match=ChangeKind.ADDED):
        await Reflector(api, NAMESPACES, handler=broken, pace=Time().pace()).run()


async def test_a_long_backlog_lets_others_run(server: ApiServer, follow: Follow) -> None:
    """A thousand events in one piece are handed over bit by bit."""
    events = b"".join(line("ADDED", thing(f"n{number}")) for number in range(1000))
    server.faults.append(("watch", says(events)))
    seen: set[int] = set()
    async with follow() as one:
        await one.reflector.wait_synced()
        async with asyncio.timeout(10):
            while len(one.known()) < 1002:
                seen.add(len(one.known()))
                await asyncio.sleep(0)

    assert len(seen) > 5
