"""The program that pushes endpoints, as a process: start, readiness, changes, rotation, trouble and the end."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import trustme

from tests.kube.apiserver import answers, status
from tests.kube.kit import until
from tests.tls.pairs import serial, trusting
from tests.xds.auth import believed, jwt, refused
from tests.xds.process import CA, HOST, SERVER, Judge, Sidecar, XdsProcess
from webhook.kube.resources import ENDPOINT_SLICES

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[1]
ORDERS = "orders.shop:50051"


def token(**claims: object) -> str:
    """Make a token that is valid now."""
    now = time.time()
    return jwt(**{"iat": now, "exp": now + 3600, **claims})


@pytest.fixture
async def api() -> AsyncIterator[Judge]:
    """Start an API server that has one Service."""
    one = await Judge().start()
    await one.serve_orders("10.1.1.1")
    yield one
    await one.stop()


@pytest.fixture
async def replica(api: Judge, tmp_path: Path) -> AsyncIterator[XdsProcess]:
    """Start a replica that serves."""
    async with XdsProcess(tmp_path, api.kubeconfig(tmp_path)) as one:
        yield await one.serving()


async def ready(replica: XdsProcess) -> bool:
    """Say whether it is ready."""
    return (await replica.health("/readyz"))[0] == 200


async def test_it_starts_pushes_changes_and_ends(api: Judge, replica: XdsProcess) -> None:
    """A client hears of endpoints that come and go; at the end its stream is ended, and the exit code is 0."""
    async with replica.channel() as channel:
        sidecar = Sidecar(channel, token())
        told = [await sidecar.first(ORDERS)]
        for addresses in (("10.1.1.1", "10.1.1.2"), ("10.1.1.2",), ()):
            await api.serve_orders(*addresses)
            told.append(await sidecar.told())
        healthy = await ready(replica)
        metrics = (await replica.health("/metrics"))[1]
        replica.signal()
        code = await sidecar.call.code()

    assert told == [{ORDERS: list(each)} for each in (["10.1.1.1"], ["10.1.1.1", "10.1.1.2"], ["10.1.1.2"], [])]
    assert healthy
    assert 'evenkeel_discovery_connected{resource="endpointslices"} 1.0' in metrics
    assert "evenkeel_catalog_services 1.0" in metrics
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    assert await replica.stop() == 0
    assert [line["event"] for line in replica.log()][-2:] == ["draining", "ended"]


async def test_a_client_hears_only_of_what_its_namespace_may_see(api: Judge, replica: XdsProcess) -> None:
    """Of the rest it is told that there is nothing."""
    stranger = token(jti="stranger")
    api.verdicts[stranger] = believed(namespace="elsewhere")
    async with replica.channel() as channel:
        found = await Sidecar(channel, stranger).first(ORDERS)

    assert found == {ORDERS: []}


async def test_who_is_refused_learns_why_and_the_log_has_it_once(api: Judge, replica: XdsProcess) -> None:
    """The stream ends with UNAUTHENTICATED; one line for each client and reason."""
    bad = token(jti="bad")
    api.verdicts[bad] = refused("[invalid bearer token]")
    tokens = (None, bad, "x", token(aud="other"), token(exp=time.time() - 100))
    async with replica.channel() as channel:
        codes = [await Sidecar(channel, shown).refused() for shown in tokens * 2]
    metrics = (await replica.health("/metrics"))[1]

    assert set(codes) == {grpc.StatusCode.UNAUTHENTICATED}
    reasons = ["missing", "not-believed", "malformed", "wrong-audience", "expired"]
    assert [line["reason"] for line in replica.events("client refused")] == reasons
    assert all(f'evenkeel_xds_authentications_total{{result="{one}"}} 2.0' in metrics for one in reasons)


async def test_a_client_without_a_token_is_served_where_the_operator_allows_it(api: Judge, tmp_path: Path) -> None:
    """What the namespace may see that it names; of all others nothing."""
    settings = {"xds_unauthenticated_namespaces": "shop"}
    async with XdsProcess(tmp_path, api.kubeconfig(tmp_path), **settings) as replica:
        await replica.serving()
        async with replica.channel() as channel:
            found = await Sidecar(channel, None, "front-1.shop").first(ORDERS)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await Sidecar(channel, None, "front-1.store").first(ORDERS)
            proved = await Sidecar(channel, token()).first(ORDERS)

    assert found == proved == {ORDERS: ["10.1.1.1"]}
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert [line["client"] for line in replica.events("client refused")] == ["ipv4:127.0.0.1 (front-1.store)"]


async def test_nobody_is_served_before_everything_is_known(api: Judge, tmp_path: Path) -> None:
    """A client that came too early would be told that there are no endpoints."""
    text = "it is forbidden"
    fault = (f"list {ENDPOINT_SLICES.path()}", answers(lambda: status(403, "Forbidden", text)))
    api.faults += [fault] * 1000
    async with XdsProcess(tmp_path, api.kubeconfig(tmp_path)) as replica:
        await replica.listening("health")
        await until(lambda: len(api.asked(ENDPOINT_SLICES.path(), watch=False)) > 3)
        early = await replica.health("/readyz"), replica.ports
        api.faults.clear()
        await replica.serving()

        assert early[0][0] == 503
        assert "cluster: the endpointslices" in early[0][1]
        assert "xds" not in early[1]
        async with replica.channel() as channel:
            assert await Sidecar(channel, token()).first(ORDERS) == {ORDERS: ["10.1.1.1"]}


async def test_it_ends_also_before_it_has_begun(api: Judge, tmp_path: Path) -> None:
    """With an API server that does not answer it is told to go."""
    await api.stop()
    async with XdsProcess(tmp_path, api.kubeconfig(tmp_path)) as replica:
        await replica.listening("health")

        assert await replica.stop() == 0


async def test_without_an_api_server_it_goes_on(api: Judge, replica: XdsProcess) -> None:
    """Ready, with what it has, for who was there before and for who comes again; then it follows once more."""
    mine = token()
    async with replica.channel() as channel, replica.channel() as another:
        sidecar = Sidecar(channel, mine)
        await sidecar.first(ORDERS)
        await api.stop()
        async with asyncio.timeout(20):
            while "evenkeel_discovery_connected" not in (text := (await replica.health("/metrics"))[1]) or (
                'evenkeel_discovery_connected{resource="endpointslices"} 1.0' in text
            ):
                await asyncio.sleep(0.05)
        still = await ready(replica), await Sidecar(another, mine).first(ORDERS)
        newcomer = await Sidecar(another, token(jti="new")).refused()
        await api.start()
        await api.serve_orders("10.1.1.9")
        later = await sidecar.told()

    assert still == (True, {ORDERS: ["10.1.1.1"]})
    assert newcomer is grpc.StatusCode.UNAVAILABLE
    assert later == {ORDERS: ["10.1.1.9"]}
    assert replica.events("the API server is lost, what is known stays in use")
    assert replica.events("the API server is back")


async def seen(replica: XdsProcess) -> int:
    """Give the serial number of the certificate that a newcomer is shown, once gRPC has begun to speak."""
    context = trusting(CA)
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(HOST, replica.ports["xds"], ssl=context, server_hostname="localhost")
    await reader.read(9)
    shown = writer.get_extra_info("peercert")
    writer.transport.abort()
    return int(shown["serialNumber"], 16)


async def test_the_certificate_is_rotated_while_clients_stay(api: Judge, replica: XdsProcess) -> None:
    """Newcomers get the newest pair, ten times; an open stream lives through all of it."""
    async with replica.channel() as channel:
        sidecar = Sidecar(channel, token())
        await sidecar.first(ORDERS)
        shown, wanted = [], []
        for count in range(1, 11):
            pair = CA.issue_cert("localhost", SERVER)
            replica.pair.put(pair)
            await until(lambda count=count: len(replica.events("certificate loaded")) == count + 1)  # type: ignore[misc]
            shown.append(await seen(replica))
            wanted.append(serial(pair))
        await api.serve_orders("10.1.1.7")
        told = await sidecar.told()

    assert shown == wanted
    assert told == {ORDERS: ["10.1.1.7"]}


@pytest.mark.parametrize("broken", ["half", "garbage", "gone", "another's key"])
async def test_a_broken_new_pair_is_refused_and_the_old_one_stays(replica: XdsProcess, broken: str) -> None:
    """It is said once; the next good one is taken."""
    before = await seen(replica)
    match broken:
        case "half":
            replica.pair.key.write_bytes(replica.pair.key.read_bytes()[:100])
        case "garbage":
            replica.pair.certificate.write_text("no PEM")
        case "gone":
            replica.pair.certificate.unlink()
        case _:
            replica.pair.key.write_bytes(CA.issue_cert("localhost", SERVER).private_key_pem.bytes())
    refusal = "certificate refused, the old one stays in use"
    await until(lambda: replica.events(refusal))
    during = [await seen(replica) for _ in range(5)], await ready(replica)
    good = CA.issue_cert("localhost", SERVER)
    replica.pair.put(good)
    await until(lambda: len(replica.events("certificate loaded")) == 2)

    assert during == ([before] * 5, True)
    assert await seen(replica) == serial(good)
    assert len(replica.events(refusal)) in (1, 2)  # a pair half written may be met on the way to the good one


async def test_a_client_that_does_not_trust_the_certificate_costs_nothing(replica: XdsProcess) -> None:
    """Nor does one that speaks no TLS; neither writes a line that is not ours."""
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(HOST, replica.ports["xds"], ssl=trusting(trustme.CA()), server_hostname=HOST)
    with socket.create_connection((HOST, replica.ports["xds"]), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    async with replica.channel() as channel:
        assert await Sidecar(channel, token()).first(ORDERS) == {ORDERS: ["10.1.1.1"]}

    assert {line["level"] for line in replica.log()} == {"info"}


def run(**env: str) -> tuple[int, list[str]]:
    """Run the command to its end; give its code and what it said on standard error."""
    given = {"PATH": os.environ["PATH"], **{f"EVENKEEL_{name}": value for name, value in env.items()}}
    ran = subprocess.run(
        [sys.executable, "-m", "webhook", "xds"],
        env=given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ran.returncode, ran.stderr.splitlines()


def test_everything_that_is_wrong_is_said_before_anything_begins(tmp_path: Path) -> None:
    """A line each; exit code 2."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        code, problems = run(KUBECONFIG=str(tmp_path / "none"), HOST=HOST, SIDECAR_XDS_PORT=str(port), TLS_KEY="k")

    assert code == 2
    assert problems[:-1] == [
        f"evenkeel: kubeconfig: there is no file {tmp_path / 'none'}",
        "evenkeel: tls_cert: found nothing, expected --tls-cert FILE with PEM",
    ]
    assert problems[-1].startswith(
        f"evenkeel: sidecar.xds_port: {HOST}:{port} cannot be listened on: Address already in use"
    )


async def test_no_replica_is_ready_with_a_certificate_that_no_sidecar_believes(replica: XdsProcess) -> None:
    """It goes on serving those whom it serves, and says for what the certificate is."""
    replica.pair.put(CA.issue_cert("localhost"))
    await until(lambda: len(replica.events("certificate loaded")) == 2)
    status, text = await replica.health("/readyz")

    assert status == 503
    assert f"the certificate is not for {SERVER}, which sidecars ask for, but for localhost" in text


def test_bad_settings_are_named() -> None:
    """Where they were written, what was found, what would do."""
    code, problems = run(
        SIDECAR_XDS_PORT="70000", XDS_UNAUTHENTICATED_NAMESPACES="good,Not_Good", XDS_REVIEWS_AT_ONCE="0"
    )

    assert code == 2
    assert [problem.split(";")[0] for problem in problems] == [
        "evenkeel: environment EVENKEEL_XDS_REVIEWS_AT_ONCE: found '0'",
        "evenkeel: environment EVENKEEL_XDS_UNAUTHENTICATED_NAMESPACES: found 'good,Not_Good'",
        "evenkeel: environment EVENKEEL_SIDECAR_XDS_PORT: found '70000'",
    ]


def test_two_servers_cannot_share_a_port(tmp_path: Path) -> None:
    """Not even those of one process."""
    code, problems = run(SIDECAR_XDS_PORT="8080", KUBECONFIG=str(tmp_path / "none"))

    assert code == 2
    assert problems[-1] == "evenkeel: sidecar.xds_port: found 8080, which is health_port; expected another one"
