"""A copy that follows the API server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.kube.apiserver import ApiServer, hangs, opened, says
from tests.kube.followed import PATH, Follow, at_ease, line, thing
from tests.kube.kit import Time, until
from webhook.kube.api import Api
from webhook.kube.reflector import Change, ChangeKind, Key, Reflector
from webhook.kube.resources import NAMESPACES

BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"900"}}}\n'


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
    """Nothing failed, but it may do so for ever; while it waits nothing is followed, and the metric says so."""
    server.faults += [("watch", says())] * 3
    connected: list[float | None] = []
    async with follow() as one:
        one.time.look = lambda: connected.append(one.metric("connected"))
        await at_ease(server, one)

        await until(lambda: one.metric("connected") == 1)  # the server knows of the watch a moment before we do

        assert connected == [0, 0, 0]
        assert one.time.slept == [pytest.approx(0.3), pytest.approx(0.6), pytest.approx(1.2)]
        assert len(server.asked(PATH, watch=False)) == 1


async def test_a_watch_that_ends_in_its_time_goes_on_at_once(server: ApiServer, follow: Follow) -> None:
    """From the last version, which a bookmark may have brought."""
    async with follow() as one:

        async def ends(request: Any) -> Any:
            response = await opened(request)
            await response.write(BOOKMARK)
            await until(lambda: one.reflector._version == "900")
            one.time.now += 300
            return response

        await at_ease(server, one)
        server.faults.append(("watch", ends))
        server.cut()
        await until(lambda: len(server.asked(PATH, watch=True)) == 3)

        assert server.asked(PATH, watch=True)[-1].query["resourceVersion"] == "900"
        assert len(one.time.slept) == 1


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
