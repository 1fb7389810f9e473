"""One caller and many servers: even, and followed through every change."""

import asyncio
import sys
import time

import pytest
import pytest_asyncio

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ASK = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8001/stats?filter=update_(rejected|success)").read().decode())
"""
"""Asks Envoy's admin, which only the Pod itself can reach."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(world):
    """Apply the fleet once for all tests of this module."""
    await world.apply("fleet", "fleet")
    end = time.monotonic() + 15
    while len((await world.callers("fleet").run(rpcs=20)).backends) < len(servers(world).pods):
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
    return world


def servers(fleet):
    """Give the Deployment of the servers."""
    return fleet.deployment("fleet", "echo")


async def test_1000_rpcs_over_one_channel_reach_each_of_10_backends_100_times(fleet):
    """Give or take one."""
    tally = await fleet.callers("fleet").run(rpcs=1000)

    assert tally.failed == 0
    assert set(tally.backends) == set(servers(fleet).addresses)
    assert all(99 <= count <= 101 for count in tally.backends.values()), tally.backends


async def test_the_sidecar_comes_from_the_admitted_pod_and_accepted_all_of_it(fleet):
    """Envoy runs as uid 101 from the Pod's own command, and rejected nothing that it read."""
    pod = fleet.deployment("fleet", "caller").pods[0]
    sidecar = pod.document["spec"]["initContainers"][0]
    code, stats = await pod.execute("app", [sys.executable, "-c", ASK])
    rejected = [line for line in stats.splitlines() if "update_rejected" in line and not line.endswith(": 0")]

    assert code == 0
    assert rejected == []
    assert sidecar["command"] == ["/usr/local/bin/envoy"]
    assert "listener_manager.lds.update_success: 1" in stats


async def test_unary_and_streaming_calls_and_20_megabytes(fleet):
    """All four kinds of call, and a message of 20 MB each way."""
    callers = fleet.callers("fleet")
    kinds = {
        "unary": {"method": "/echo.EchoServer/SayHello"},
        "server": {"method": "/echo.EchoServer/ServerStream", "metadata": {"echo-messages": "5"}},
        "client": {"method": "/echo.EchoServer/ClientStream", "messages": 5},
        "both": {"method": "/echo.EchoServer/Bidi", "messages": 5},
        "20 MB": {"request_bytes": 20_000_000, "metadata": {"echo-reply-bytes": "20000000"}, "rpcs": 2},
    }
    tallies = {name: await callers.run(**{"rpcs": 20, "deadline_seconds": 30, **spec}) for name, spec in kinds.items()}

    assert {name: dict(tally.errors) for name, tally in tallies.items()} == {name: {} for name in kinds}


async def test_a_stream_silent_for_60_seconds_lives_while_the_fleet_changes(fleet):
    """Two messages a minute apart on one stream; meanwhile 10 -> 5 -> 10 -> 3 servers are followed, and replaced.

    One test, so that the minute is used. Nothing may fail, as an old server serves for longer than the DNS refresh
    after it was told to end, and in a replacement one at a time a new one was ready for as long before.
    """
    stays = servers(fleet).pods[0].address
    silent = asyncio.create_task(_silent_streams(fleet))
    report = {}
    for replicas in (5, 10, 3):
        report[f"scale to {replicas}"] = await _under_load(fleet, lambda n=replicas: _scale(fleet, n))
    finished = (await silent)["backends"]
    slowly = {"min_ready_seconds": 7}
    app, cluster = servers(fleet), fleet.cluster
    report["one at a time"] = await _under_load(fleet, lambda: cluster.replace_one_at_a_time(app, **slowly))
    report["all at once"] = await _under_load(fleet, lambda: cluster.replace_all_at_once(app))
    for name, (tally, seconds) in report.items():
        seen = f", a new server's first RPC after {seconds:.1f} s" if seconds is not None else ""
        print(f"\n{name}: {tally.rpcs} RPCs, {tally.failed} failed{seen}", dict(tally.errors) or "")

    assert finished.get(stays, 0) >= 1
    assert {name: tally.failed for name, (tally, _) in report.items()} == dict.fromkeys(report, 0)


async def _silent_streams(fleet):
    """Open one stream to each of the servers; a stream counts for a server only if it ended well."""
    spec = {"method": "/echo.EchoServer/ServerStream", "rpcs": 10, "concurrency": 10, "deadline_seconds": 90,
            "metadata": {"echo-messages": "2", "echo-interval-ms": "60000"}}  # fmt: skip
    return (await fleet.callers("fleet")._ask("POST", "/run", spec))[0]


async def _scale(fleet, replicas):
    await fleet.cluster.scale(servers(fleet), replicas)


async def _under_load(fleet, change):
    """Make a change under load and wait until just the live servers answer."""
    app, callers = servers(fleet), fleet.callers("fleet")
    before = set(app.addresses)
    async with callers.load("change", rate=150) as tally:
        await change()
        end = time.monotonic() + 30
        while not await _only_live_ones_answer(callers, app):
            assert time.monotonic() < end, "the change was not followed in 30 s"
    new = set(app.addresses) - before
    seconds = max(tally.first_seen[address] - app.ready_at[address] for address in new) if new else None
    return tally, seconds


async def _only_live_ones_answer(callers, app):
    first = (await callers.so_far("change")).backends
    await asyncio.sleep(1)
    second = (await callers.so_far("change")).backends
    return {address for address in second if second[address] > first[address]} == set(app.addresses)
