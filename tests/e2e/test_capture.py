"""Apps that dial a Service's name are balanced, and whatever else they do with that name goes on working."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.kit import apps, captured, talk
from webhook.node.pod import Pod

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

MIXED = {
    "metadata": {"labels": {"app": "mixed"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "app",
                "image": apps.MIXED,
                "args": ["grpc=50051", "greets=3306", "echoes=5432", "tls=443", "http=80", "greets=2525", "grpc=81"],
                "env": [{"name": "MIXED_CERTIFICATE", "value": "/app/mixed.crt"}],
                "readinessProbe": {"tcpSocket": {"port": 50051}, "periodSeconds": 1},
            }
        ],
    },
}
FORMS = ("{}", "{}.tickets", "{}.tickets.svc", "{}.tickets.svc.cluster.local")
PORTS = {"app-server-headless": (12345,), "grpc-server": (8080, 12345)}
"""By the Service, the ports that apps dial; the second one's target port leads to its pods too, as it is headless."""


@dataclass(frozen=True)
class Tickets:
    """What was applied."""

    client: Pod
    servers: list[str]
    mixed: list[Pod]
    peers: dict[str, Pod]
    silent: asyncio.Task[dict[str, Any]]
    """A connection to a database, silent since before the first test."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tickets(world):
    """Apply everything once; wait until the sidecars have asked the DNS."""
    documents = captured.read("tickets")
    await world.apply("exported", "other")
    # First those that are called on many ports, so that the sidecars know all of them when they start.
    world.node.services.apply(captured.service(documents, "mixed"))
    mixed = await captured.stateful(world, "mixed", "tickets", MIXED, 2)
    await captured.apply(world, documents)
    client = world.deployment("tickets", "client").pods[0]
    found = Tickets(
        client,
        world.deployment("tickets", "server").addresses,
        mixed,
        {name: deployment.pods[0] for (_, name), deployment in world.cluster.deployments.items() if "peer" in name},
        asyncio.create_task(talk.tcp(client, "mixed", 3306, first="server", wait="/tmp/enough")),
    )
    expected = {"app-server-headless:12345": 3, "grpc-server:8080": 3, "mixed:50051": 2, "c.other:50051": 2}
    await captured.settled(client, expected)
    return found


@pytest.mark.parametrize("language", apps.LANGUAGES)
async def test_every_form_of_a_name_is_balanced_over_all_pods(tickets, language):
    """Call by call over one connection: each pod of three answers ten of thirty."""
    apps.needed(language)
    targets = [f"{form.format(name)}:{port}" for name, ports in PORTS.items() for port in ports for form in FORMS]
    found = await talk.call(tickets.client, language, *targets)
    even = dict.fromkeys(tickets.servers, 10)

    assert {target: (tally["backends"], tally["errors"]) for target, tally in found.items()} == dict.fromkeys(
        targets, (even, {})
    )


async def test_go_is_balanced_also_where_its_dialer_resolves_the_name(tickets):
    """With `passthrough:///` grpc-go leaves the name to the operating system's way."""
    apps.needed("go")
    found = await talk.call(tickets.client, "go", "passthrough:///app-server-headless:12345")

    assert [dict.fromkeys(tickets.servers, 10)] == [tally["backends"] for tally in found.values()]


@pytest.mark.parametrize("language", apps.LANGUAGES)
async def test_a_service_that_another_namespace_exports_is_balanced_by_its_longer_names(tickets, world, language):
    """Its bare name may be somebody else's here, and stays as it is."""
    apps.needed(language)
    targets = [f"c.other{form}:50051" for form in ("", ".svc", ".svc.cluster.local")]

    found = await talk.call(tickets.client, language, *targets, rpcs=20)
    aliases = {name for alias in tickets.client.document["spec"]["hostAliases"] for name in alias["hostnames"]}

    even = dict.fromkeys(world.deployment("other", "c").addresses, 10)
    assert {target: tally["backends"] for target, tally in found.items()} == dict.fromkeys(targets, even)
    assert {"c", "c.other"} & aliases == {"c.other"}


@pytest.mark.parametrize("language", apps.LANGUAGES)
async def test_a_name_with_a_trailing_dot_works(tickets, language):
    """Python and Node then ask the DNS and stay with one pod, as without us; Go finds it in the hosts file as well."""
    apps.needed(language)
    (found,) = (
        await talk.call(tickets.client, language, "app-server-headless.tickets.svc.cluster.local.:12345")
    ).values()
    print(f"\n{language} with a trailing dot: {len(found['backends'])} pods")

    assert (found["errors"], sum(found["backends"].values())) == ({}, 30)


@pytest.mark.parametrize("language", apps.LANGUAGES)
async def test_a_pods_own_name_leads_to_that_very_pod(tickets, language):
    """As a StatefulSet's clients want it; the name of the Service above it is captured all the same."""
    apps.needed(language)
    names = {
        f"mixed-{number}.mixed{rest}:50051": f"mixed-{number}" for number in (0, 1) for rest in ("", ".tickets.svc")
    }
    found = await talk.call(tickets.client, language, *names, "mixed:50051", rpcs=10)
    both = found.pop("mixed:50051")

    assert {target: tally["pods"] for target, tally in found.items()} == {
        target: {pod: 10} for target, pod in names.items()
    }
    assert both["pods"] == {"mixed-0": 5, "mixed-1": 5}


@pytest.mark.parametrize(("port", "first"), [(3306, "server"), (5432, "client")])
async def test_a_database_beside_it_is_reached_as_it_is(tickets, port, first):
    """Whoever speaks first, and at once: no port that is not gRPC is looked into."""
    found = await talk.tcp(tickets.client, "mixed", port, first=first)

    pods = {line.removeprefix("220 ").partition(":")[0].partition(" ")[0] for line in found["said"]}
    assert [line.split(" ")[-1] for line in found["said"]][-3:] == ["one", "two", "bye"]
    assert len(found["said"]) == (4 if first == "server" else 3)
    assert len(pods) == 1
    assert pods < {pod.name.partition("/")[2] for pod in tickets.mixed}


async def test_a_protocol_on_a_grpc_port_whose_server_speaks_first_goes_through(tickets):
    """After the time that the sidecar waits for the client's first bytes."""
    found = await talk.tcp(tickets.client, "mixed", 2525, first="server")

    assert [line.split(" ")[-1] for line in found["said"]] == ["ready", "one", "two", "bye"]
    print(f"\nthe greeting came after {found['seconds']:.2f} s")


async def test_tls_on_a_grpc_port_goes_through_to_the_server_that_has_the_certificate(tickets):
    """The sidecar has none for that name, so that a verified answer is the server's own."""
    found = await talk.tls(tickets.client, "mixed:443")

    assert found["pod"] in {"mixed-0", "mixed-1"}


async def test_http_1_on_a_grpc_port_goes_through(tickets):
    """Its answer is the server's."""
    found = await talk.http(tickets.client, "http://mixed.tickets/")

    assert found["pod"] in {"mixed-0", "mixed-1"}


async def test_ports_below_1024_are_balanced_where_the_operator_allows_it(tickets):
    """By an Envoy of an ordinary user, which may bind them as this node's Pods let everybody."""
    found = await talk.call(tickets.client, "python", "mixed:81", rpcs=20)

    assert found["mixed:81"]["backends"] == {pod.address: 10 for pod in tickets.mixed}


async def test_aliases_that_the_pod_had_are_kept(tickets):
    """They come first, and those of captured names each have an address of their own."""
    aliases = tickets.client.document["spec"]["hostAliases"]
    code, hosts = await tickets.client.execute("python", ["/bin/cat", "/etc/hosts"])
    lines = [line.split() for line in hosts.splitlines()]
    captured_names = {alias["hostnames"][0]: alias["ip"] for alias in aliases[1:]}

    assert code == 0
    assert aliases[0] == {"ip": "192.0.2.7", "hostnames": ["ledger", "ledger.example"]}
    assert ["192.0.2.7", "ledger", "ledger.example"] in lines
    assert set(captured_names) == {"app-server-headless", "grpc-server", "mixed", "peer", "c.other"}
    assert len(set(captured_names.values())) == 5
    assert all(address.startswith("127.") and address != "127.0.0.1" for address in captured_names.values())


@pytest.mark.parametrize("language", ["python", "go"])
async def test_an_app_that_serves_the_port_it_calls_works_and_its_name_is_left_alone(tickets, language):
    """The app binds 0.0.0.0 for itself alone, as Go does: with the sidecar on that port one of them could not start."""
    apps.needed(language)
    peer = tickets.peers[f"peer-{language}"]
    aliases = {name for alias in peer.document["spec"]["hostAliases"] for name in alias["hostnames"]}
    found = await talk.call(peer, language, "peer:7000", "grpc-server:8080")

    assert all(status.restarts == 0 for status in peer.statuses.values())
    assert {"peer", "grpc-server"} & aliases == {"grpc-server"}
    assert found["peer:7000"]["errors"] == {}
    assert found["grpc-server:8080"]["backends"] == dict.fromkeys(tickets.servers, 10)


async def test_explain_says_why_a_name_is_left_alone():
    """In words, for the workload that serves what it calls; nobody would find it otherwise."""
    words = ["explain", "deploy/peer-go", "-f", str(captured.MANIFESTS / "tickets.yaml"), "--namespace", "tickets"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "webhook", *words, stdout=pipe)
    told = (await process.communicate())[0].decode()

    assert process.returncode == 0
    assert any("peer.tickets" in line and "serves port 7000" in line for line in told.splitlines()), told


async def test_a_silent_connection_to_a_database_lives(tickets):
    """It was opened before all other tests of this file."""
    code, _ = await tickets.client.execute("python", ["/bin/touch", "/tmp/enough"])
    found = await tickets.silent

    assert code == 0
    assert [line.split(" ")[-1] for line in found["said"]] == ["ready", "one", "two", "bye"]
    assert found["peer"].startswith("127.")
