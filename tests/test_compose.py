"""The server as a process: start, sockets, rotation and the end, with real TLS."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import builders
from tests.server.served import CA, HOST, Caller, Load, Served, request
from webhook.compose.serve import serve
from webhook.core.errors import SettingsError
from webhook.settings import Settings

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Start one replica for all tests that leave it as it was."""
    yield from _run(tmp_path_factory.mktemp("served"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Start one replica for a test that ends it."""
    yield from _run(tmp_path)


def _run(folder: Path) -> Iterator[Served]:
    server = Served(folder)
    try:
        yield server.started()
    finally:
        server.stop()


async def test_it_starts_is_ready_answers_and_ends(served: Served) -> None:
    """Every line of its log is JSON, its exit code is 0."""
    async with Caller([served]) as caller:
        status, body = await caller.call(request())
    ready = served.health("/readyz")
    live = served.health("/livez")
    metrics = served.health("/metrics")

    assert (200, True) == (status, b'"patchType":"JSONPatch"' in body)
    assert (200, 200) == (ready[0], live[0])
    assert 'evenkeel_admissions_total{reason="selected",result="injected"} 1.0' in metrics[1]
    assert 0 == served.stop()
    assert ["draining", "ended"] == [line["event"] for line in served.log()][-2:]


async def test_a_slow_body_is_answered_within_about_a_second(shared: Served) -> None:
    """The rest of the body never comes; the caller gets 400, and one line is logged."""
    before = time.monotonic()

    async with Caller([shared]) as caller:
        status, body = await caller.call(request()[:-10])

    assert (400, True) == (status, b"unfinished after 0.9 s" in body)
    assert time.monotonic() - before < 2
    assert 1 == len(shared.admissions("slow-body"))


async def test_a_slow_head_is_answered_within_about_a_second(shared: Served) -> None:
    """A request that begins and does not go on holds no connection; so does the second one on it."""
    for before in (0, 1):
        async with Caller([shared]) as caller:
            for _ in range(before):
                await caller.call(request())
            began = time.monotonic()
            status, body = await caller.call(b"POST /mutate HTTP/1.1\r\nhost: x\r\n")

        assert (400, True) == (status, b"unfinished after 0.9 s" in body)
        assert time.monotonic() - began < 2


async def test_a_cut_body_is_one_line_without_a_traceback(shared: Served) -> None:
    """The caller went away; nobody is there to be answered."""
    async with Caller([shared]) as caller:
        await caller.write(request()[:-10])
        await asyncio.sleep(0.1)
        assert caller.writer
        caller.writer.transport.abort()

    await asyncio.sleep(0.3)
    assert ["malformed"] == [line["result"] for line in shared.admissions("cut-body")]
    assert b"Traceback" not in shared.log_file.read_bytes()


@pytest.mark.parametrize("length", [{}, {"transfer-encoding": "chunked"}])
async def test_five_megabytes_get_413_though_the_caller_only_reads_when_it_has_written(
    shared: Served, length: dict[str, object]
) -> None:
    """The answer is not lost in a reset connection."""
    body = b"x" * (5 * 1024 * 1024)
    message = request(body)
    if length:
        head = message.partition(b"\r\n\r\n")[0].replace(b"content-length: 5242880", b"transfer-encoding: chunked")
        message = head + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    async with Caller([shared]) as caller:
        status, answer = await caller.call(message)

    assert (413, True) == (status, b"expected at most 4194304 bytes" in answer)


async def test_what_is_no_http_gets_no_traceback(shared: Served) -> None:
    """Neither in the clear on the TLS port, nor as garbage through TLS."""
    with socket.create_connection((HOST, shared.ports["admission"]), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    async with Caller([shared]) as caller:
        await caller.write(b"\x00\x01garbage\r\n\r\n")
        assert caller.reader
        answer = await caller.reader.read(20)

    assert b"HTTP/1.1 400" == answer[:12]
    assert b"Traceback" not in shared.log_file.read_bytes()


async def test_the_certificate_is_rotated_20_times_under_load_and_no_admission_fails(shared: Served) -> None:
    """Open connections live on and new ones get the newest pair."""
    loaded = [line["event"] for line in shared.log()].count("certificate loaded")
    async with Load([shared]) as load:
        for _ in range(20):
            shared.pair.put(CA.issue_cert("localhost"))
            await asyncio.sleep(0.1)
            async with Caller([shared]) as newcomer:
                await newcomer.call(request())
    reloads = [line["event"] for line in shared.log()].count("certificate loaded") - loaded

    assert [] == load.failures
    assert load.answered > 100
    assert 20 == reloads


async def test_sigterm_under_load_fails_no_admission(tmp_path: Path) -> None:
    """Callers are told to go to the other replica before the listener closes."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    replicas = [Served(tmp_path / name, shutdown_delay_seconds=0.6) for name in ("a", "b")]
    try:
        for replica in replicas:
            replica.started()
        async with Load(replicas) as load:
            await asyncio.sleep(0.5)
            replicas[0].process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            draining = await asyncio.to_thread(replicas[0].health, "/readyz")
            async with Caller([replicas[0]]) as newcomer:
                still = await newcomer.call(request())
            code = await asyncio.to_thread(replicas[0].stop)
            await asyncio.sleep(0.2)
    finally:
        for replica in replicas:
            replica.stop()

    assert [] == load.failures
    assert load.answered > 100
    assert (503, True) == (draining[0], "draining" in draining[1])
    assert (200, 0) == (still[0], code)


async def test_a_request_in_flight_at_the_end_is_answered(served: Served) -> None:
    """Its body comes after the listener has closed."""
    message = request()
    async with Caller([served]) as caller:
        await caller.write(message[:-10])
        await asyncio.sleep(0.05)
        served.process.send_signal(signal.SIGTERM)
        served.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.4)
        status, _ = await caller.call(message[-10:])

    assert (200, 0) == (status, await asyncio.to_thread(served.stop))


async def test_a_second_signal_hastens(tmp_path: Path) -> None:
    """Nobody waits for endpoints when somebody sits before the terminal."""
    server = Served(tmp_path, shutdown_delay_seconds=60).started()
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.2)

    assert 0 == await asyncio.to_thread(server.stop)
    assert "hastened" in [line["event"] for line in server.log()]


async def test_a_changed_catalog_is_used_without_a_restart(shared: Served) -> None:
    """The next admission sees the new Service."""
    shared.catalog.write_text(yaml.safe_dump_all([builders.service("orders"), builders.service("users")]))
    async with Caller([shared]) as caller:
        for _ in range(100):
            await asyncio.sleep(0.05)
            _, body = await caller.call(request())
            if b'"upstreams":"2"' in body:
                break

    assert b'"upstreams":"2"' in body
    assert "evenkeel_catalog_services 2.0" in shared.health("/metrics")[1]


async def test_a_client_ca_keeps_everybody_else_out(tmp_path: Path) -> None:
    """Without a certificate of that CA there is no answer."""
    CA.cert_pem.write_to_path(str(tmp_path / "client-ca.pem"))
    server = Served(tmp_path, client_ca=tmp_path / "client-ca.pem").started()
    try:
        caller = Caller([server])
        with pytest.raises((OSError, EOFError)):
            await caller.call(request())
        await caller.close()
    finally:
        server.stop()


async def test_every_problem_of_the_start_is_told_at_once(tmp_path: Path) -> None:
    """Certificate, catalog and templates, before a port is bound."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    settings = Settings(
        tls_cert=tmp_path / "no.crt", tls_key=tmp_path / "no.key", catalog=(broken,), templates=tmp_path / "none"
    )

    with pytest.raises(SettingsError) as caught:
        await serve(settings)

    text = "\n".join(caught.value.problems)
    assert all(word in text for word in ("no.crt", "no.key", "broken.yaml", "none"))


async def test_serve_without_certificate_and_cluster_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three are told, and where a cluster was looked for."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SettingsError) as caught:
        await serve(Settings())

    heads = ["no Kubernetes cluster", "tls_cert", "tls_key"]
    assert heads == [problem.partition(":")[0] for problem in caught.value.problems]
    assert "KUBECONFIG" in caught.value.problems[0]
    assert "self-managed" in caught.value.problems[1]


async def test_a_certificate_of_our_own_is_not_also_a_file(tmp_path: Path) -> None:
    """Whoever gives both has one of them wrong; without a cluster there is nowhere to keep it."""
    settings = Settings(certificate="self-managed", tls_cert=tmp_path / "a", kubeconfig=tmp_path / "none")

    with pytest.raises(SettingsError) as caught:
        await serve(settings)

    assert ["kubeconfig", "tls_cert"] == [problem.partition(":")[0] for problem in caught.value.problems]


async def test_a_port_that_is_taken_ends_with_2(tmp_path: Path) -> None:
    """The setting is named."""
    with socket.create_server((HOST, 0)) as taken:
        server = Served(tmp_path, port=taken.getsockname()[1])
        code = await asyncio.to_thread(server.process.wait, 20)

    assert (2, True) == (code, b"port: 127.0.0.1:" in server.log_file.read_bytes())
