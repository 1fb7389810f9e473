"""The stand-in programs, run as a Pod would run them, on loopback addresses of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = Path(__file__).parents[2] / "examples" / "echo"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def free_port(host: str) -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def environment(**names: str) -> dict[str, str]:
    """Return what a Pod's container gets: nothing of this machine but where programs are."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **names}


@contextlib.contextmanager
def running(program: str, host: str, port: int, **names: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends, from when it accepts connections."""
    command = [sys.executable, str(PROGRAMS / program)]
    process = subprocess.Popen(command, env=environment(**names), stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: can_connect(host, port))
        yield process
    finally:
        process.kill()
        process.communicate()


def can_connect(host: str, port: int) -> bool:
    """Say whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """Wait until a condition is true, and return what it is."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return result


@contextlib.contextmanager
def a_server(host: str, port: int, **names: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server on an address of its own."""
    with running("server.py", host, port, ECHO_HOST=host, ECHO_PORT=str(port), **names) as process:
        yield process


class Control:
    """The HTTP side of a gateway."""

    def __init__(self, address: str, pid: int) -> None:
        self._address = address
        self.pid = pid

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request; return the status and the JSON document or text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self._address}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  it is http
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read().decode()
        return status, json.loads(text) if text.startswith("{") else text

    def run(self, **spec: object) -> dict[str, Any]:
        """Make calls and return what became of them."""
        document: dict[str, Any]
        status, document = self.ask("POST", "/run", spec)

        assert status == 200, document
        return document


@contextlib.contextmanager
def a_gateway(host: str, **names: str) -> Iterator[Control]:
    """Run a gateway on an address of its own."""
    port = free_port(host)
    own = {"ECHO_CONTROL_HOST": host, "ECHO_CONTROL_PORT": str(port)}
    with running("gateway.py", host, port, **own, **names) as process:
        yield Control(f"{host}:{port}", process.pid)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server that all tests share."""
    host = "127.31.0.1"
    port = free_port(host)
    with a_server(host, port, POD_NAME="pod-1"):
        yield f"{host}:{port}"


@pytest.fixture(scope="module")
def gateway(server: str) -> Iterator[Control]:
    """Control of a gateway that all tests share."""
    with a_gateway("127.31.0.2", HOGE_APP_ADDRESS=server, BACKENDS="be1-srv:50051,be2-srv:50051") as control:
        yield control


@pytest.fixture
def channel(server: str) -> Iterator[grpc.Channel]:
    """Channel to the shared server, with an authority of its own."""
    options = [
        ("grpc.default_authority", "be1-srv:50051"),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    with grpc.insecure_channel(server, options=options) as channel:
        yield channel


class TestServer:
    """What examples/echo/server.py answers."""

    def test_a_unary_reply_says_who_answered_what(self, channel: grpc.Channel) -> None:
        """Pod, address, method, authority and the size of the request are in the reply."""
        reply = json.loads(channel.unary_unary("/echo.EchoServer/SayHello")(b"12345"))

        assert reply == {
            "pod": "pod-1",
            "address": "127.31.0.1",
            "method": "/echo.EchoServer/SayHello",
            "authority": "be1-srv:50051",
            "received": 5,
            "message": 1,
        }

    def test_a_server_stream_sends_as_many_messages_as_wished(self, channel: grpc.Channel) -> None:
        """Each message has its number, and the pace is the caller's."""
        begin = time.monotonic()
        metadata = (("echo-messages", "4"), ("echo-interval-ms", "50"))
        replies = list(channel.unary_stream("/any.Service/ServerStream")(b"", metadata=metadata))

        assert [json.loads(reply)["message"] for reply in replies] == [1, 2, 3, 4]
        assert time.monotonic() - begin >= 0.15

    def test_a_client_stream_is_counted(self, channel: grpc.Channel) -> None:
        """One reply has the number of messages and of their bytes."""
        reply = json.loads(channel.stream_unary("/any.Service/ClientStream")(iter([b"1", b"22", b"333"])))

        assert (reply["received"], reply["message"]) == (6, 3)

    def test_a_bidirectional_stream_answers_each_message(self, channel: grpc.Channel) -> None:
        """There is one reply a message, in order."""
        replies = channel.stream_stream("/any.Service/Bidi")(iter([b"1", b"22"]))

        assert [json.loads(reply)["received"] for reply in replies] == [1, 2]

    def test_large_messages_pass_both_ways(self, channel: grpc.Channel) -> None:
        """64 MiB are neither too many bytes to receive nor to send."""
        size = 64 * 1024 * 1024
        call = channel.unary_unary("/any.Service/Large")
        reply = call(b"x" * size, metadata=(("echo-reply-bytes", str(size)),))

        assert len(reply) == size
        assert json.loads(reply)["received"] == size

    def test_a_caller_can_wish_for_a_failure(self, channel: grpc.Channel) -> None:
        """The status is the one that was asked for, by name or number."""
        for wish, status in [
            ("resource_exhausted", grpc.StatusCode.RESOURCE_EXHAUSTED),
            ("14", grpc.StatusCode.UNAVAILABLE),
        ]:
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary("/a.B/C")(b"", metadata=(("echo-status", wish),))

            assert error.value.code() == status

    @pytest.mark.parametrize(
        ("key", "value", "sentence"),
        [
            ("echo-messages", "many", "metadata echo-messages='many': not a whole number of 0 or more"),
            ("echo-status", "OK", "metadata echo-status='OK': not the name or number of a failure"),
            ("echo-colour", "red", "unknown metadata echo-colour"),
        ],
    )
    def test_a_wish_that_cannot_be_read_is_named(
        self, channel: grpc.Channel, key: str, value: str, sentence: str
    ) -> None:
        """A misspelt wish fails the call instead of being left out."""
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary("/a.B/C")(b"", metadata=((key, value),))

        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert error.value.details() == sentence

    def test_health_is_serving(self, channel: grpc.Channel) -> None:
        """Check answers SERVING whatever service is asked about, and Watch begins with it."""
        check = channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")

        assert (check, next(watch)) == (SERVING, SERVING)
        watch.cancel()

    def test_its_port_is_its_own(self, server: str) -> None:
        """A second server on the same port says so and exits, instead of sharing the connections."""
        host, port = server.split(":")
        second = subprocess.run(
            [sys.executable, str(PROGRAMS / "server.py"), port],
            env=environment(ECHO_HOST=host),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=15,
        )

        assert second.returncode == 1
        assert "the server cannot start" in second.stdout

    @pytest.mark.parametrize(("sleep_ms", "outcome"), [(600, "pod-2"), (60_000, None)])
    def test_sigterm_ends_what_is_under_way_within_the_grace(self, sleep_ms: int, outcome: str | None) -> None:
        """A call that ends within the grace is answered, a longer one is cut off; the exit code is 0."""
        host = "127.31.0.3"
        port = free_port(host)
        with (
            a_server(host, port, POD_NAME="pod-2", ECHO_GRACE="1.5") as process,
            grpc.insecure_channel(f"{host}:{port}") as channel,
        ):
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            assert next(watch) == SERVING
            call = channel.unary_unary("/a.B/C").future(b"", metadata=(("echo-sleep-ms", str(sleep_ms)),))
            time.sleep(0.2)
            begin = time.monotonic()
            process.send_signal(signal.SIGTERM)

            assert next(watch) == NOT_SERVING
            if outcome:
                assert json.loads(call.result(timeout=5))["pod"] == outcome
            else:
                assert isinstance(call.exception(timeout=5), grpc.RpcError)
            assert process.wait(timeout=5) == 0
            assert time.monotonic() - begin < 4


class TestGateway:
    """What examples/echo/gateway.py does and counts."""

    def test_a_run_counts_every_call(self, gateway: Control, server: str) -> None:
        """The numbers of a run add up, and name who answered."""
        document = gateway.run(rpcs=200)
        host = server.partition(":")[0]

        assert (document["rpcs"], document["failed"], document["under_way"]) == (200, 0, 0)
        assert document["backends"] == {host: 200}
        assert document["pods"] == {"pod-1": 200}
        latency = document["latency_ms"]
        assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]

    def test_failures_are_counted_by_status_and_message(self, gateway: Control) -> None:
        """A failed call is in `rpcs`, in `failed` and in `errors`."""
        document = gateway.run(rpcs=7, metadata={"echo-status": "ABORTED"})

        assert (document["rpcs"], document["failed"]) == (7, 7)
        assert document["errors"] == {"ABORTED: pod-1 was asked to fail": 7}

    def test_a_backend_of_an_address_variable_is_called_there(self, server: str) -> None:
        """As the shop's front end does; what Kubernetes adds for Services has no port and is none of it."""
        names = {"ACCOUNTS_ADDR": server, "ACCOUNTS_PORT_7001_TCP_ADDR": "127.31.0.9"}
        with a_gateway("127.31.0.3", **names) as control:
            status, text = control.ask("GET", "/accounts")
            other, _ = control.ask("GET", "/accounts_port_7001_tcp")

        assert (status, other) == (200, 404)
        assert text.count("from hostname pod-1\n") == 15

    def test_nobody_listening_is_unavailable_at_once(self, gateway: Control) -> None:
        """No call waits for a connection: an application would not, either."""
        document = gateway.run(target=f"127.31.0.9:{free_port('127.31.0.9')}", rpcs=3)

        assert document["failed"] == 3
        assert all(error.startswith("UNAVAILABLE: ") for error in document["errors"])

    def test_a_deadline_is_kept(self, gateway: Control) -> None:
        """A call longer than its deadline fails with DEADLINE_EXCEEDED."""
        document = gateway.run(rpcs=1, deadline_seconds=0.2, metadata={"echo-sleep-ms": "5000"})

        assert list(document["errors"]) == ["DEADLINE_EXCEEDED: Deadline Exceeded"]

    @pytest.mark.parametrize(
        ("method", "wishes", "messages"),
        [("ServerStream", {"echo-messages": "5"}, 10), ("ClientStream", {}, 2), ("Bidi", {}, 6)],
    )
    def test_streams_are_calls_like_any_other(
        self, gateway: Control, method: str, wishes: dict[str, str], messages: int
    ) -> None:
        """The three streaming kinds are made by the method's name."""
        document = gateway.run(rpcs=2, method=f"/any.Service/{method}", metadata=wishes, messages=3)

        assert (document["rpcs"], document["failed"], document["messages"]) == (2, 0, messages)

    def test_a_load_runs_at_its_rate_until_it_is_deleted(self, gateway: Control, server: str) -> None:
        """The last answer has every call that was started, and when each address was first heard of."""
        begin = time.time()
        assert gateway.ask("POST", "/load", {"name": "steady", "rate": 100}) == (200, {"name": "steady"})
        until(lambda: gateway.ask("GET", "/load/steady")[1]["rpcs"] >= 30)
        _, document = gateway.ask("DELETE", "/load/steady")
        host = server.partition(":")[0]

        assert document["rpcs"] == document["backends"][host] >= 30
        assert (document["failed"], document["under_way"]) == (0, 0)
        assert document["rpcs"] <= 100 * document["seconds"] + 10
        assert begin < document["first_seen"][host] <= document["last_seen"][host] <= time.time()
        assert gateway.ask("GET", "/load/steady")[0] == 404

    def test_stopping_a_load_waits_for_the_calls_under_way(self, gateway: Control) -> None:
        """A call that was started is answered or counted as failed, never left out."""
        slow = {"name": "slow", "concurrency": 4, "metadata": {"echo-sleep-ms": "300"}}
        gateway.ask("POST", "/load", slow)
        until(lambda: gateway.ask("GET", "/load/slow")[1]["under_way"] == 4)
        _, document = gateway.ask("DELETE", "/load/slow")

        assert document["rpcs"] == sum(document["backends"].values()) >= 4
        assert document["under_way"] == 0

    def test_two_thousand_calls_at_once_are_all_answered(self, gateway: Control) -> None:
        """Neither program is the bottleneck of a test that keeps many calls under way."""
        document = gateway.run(rpcs=2000, concurrency=2000, metadata={"echo-sleep-ms": "200"}, deadline_seconds=30)

        assert (document["rpcs"], document["errors"]) == (2000, {})

    def test_a_backend_is_chosen_by_authority(self, gateway: Control) -> None:
        """`GET /be2-srv` makes fifteen calls with that authority and lists who answered."""
        status, text = gateway.ask("GET", "/be2-srv")

        assert status == 200
        assert text.splitlines() == ["Hello unary RPC msg   from hostname pod-1"] * 15

    @pytest.mark.parametrize(
        ("request_line", "body", "status", "sentence"),
        [
            ("POST /run", {"rpcz": 1}, 400, "unknown keys: rpcz"),
            ("POST /run", {"concurrency": 0}, 400, "concurrency must be 1 or more"),
            ("POST /run", [], 400, "the body is no JSON object: []"),
            ("POST /load", {"rate": 1}, 400, "has no name"),
            ("GET /load/none", None, 404, "no load 'none'"),
            ("GET /other", None, 404, "nothing answers GET /other"),
        ],
    )
    def test_a_request_that_cannot_be_answered_says_why(
        self, gateway: Control, request_line: str, body: object, status: int, sentence: str
    ) -> None:
        """The status is the caller's, with a sentence."""
        method, path = request_line.split()
        answer = gateway.ask(method, path, body)

        assert answer[0] == status
        assert sentence in answer[1]["error"]

    def test_it_has_something_for_a_probe(self, gateway: Control, server: str) -> None:
        """`GET /` answers 200 and says whom it calls."""
        assert gateway.ask("GET", "/") == (200, f"ok, calling {server}\n")

    def test_one_channel_keeps_one_connection(self, server: str) -> None:
        """However many calls are under way, the caller has one connection, as the articles' callers do."""
        with a_gateway("127.31.0.5", HOGE_APP_ADDRESS=server) as gateway:
            gateway.ask("POST", "/load", {"name": "busy", "concurrency": 32})
            until(lambda: gateway.ask("GET", "/load/busy")[1]["rpcs"] >= 300)
            peers = [each.raddr for each in psutil.Process(gateway.pid).net_connections() if each.raddr]

        assert [str(peer.port) for peer in peers].count(server.partition(":")[2]) == 1

    def test_it_calls_unasked_and_logs_who_answered(self, server: str) -> None:
        """With ECHO_EVERY it is the client that asks for a customer every few seconds."""
        host, port = server.split(":")
        names = {"SERVER_DOMAIN": host, "SERVER_PORT": port, "ECHO_EVERY": "0.05"}
        method = "/ticketing.CustomerController/GetCustomer"
        control = free_port("127.31.0.4")
        own = {"ECHO_CONTROL_HOST": "127.31.0.4", "ECHO_CONTROL_PORT": str(control), "ECHO_METHOD": method}
        with running("gateway.py", "127.31.0.4", control, **names, **own) as process:
            assert process.stdout
            lines = [process.stdout.readline().split(" ", 2)[2].strip() for _ in range(7)]
            process.terminate()

            assert process.wait(timeout=5) == 0
        assert lines[1:] == ["Start GetCustomer", "pod-1 answered", "End GetCustomer"] * 2
