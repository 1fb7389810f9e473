"""The shop of examples/ through the real API server: what its Pods are given, and who answers its front end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.cluster.kit.install import Installed, injected, until
from tests.cluster.kit.rest import Json, documents
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.demo.calls import Callers
from webhook.demo.images import program

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

MANIFEST = Path(__file__).parents[2] / "examples" / "shop.yaml"
ADMITTED, RUNNING, OTHER = "shop", "shop-run", "elsewhere"
RPCS = 100
BESIDE = (
    {"name": "chat", "sessionAffinity": "ClientIP", "ports": [{"name": "grpc", "port": 7100}]},
    {"name": "clock", "ports": [{"name": "grpc", "port": 7101}, {"name": "ntp", "port": 123, "protocol": "UDP"}]},
    {"name": "cache", "ports": [{"name": "redis", "port": 6379}]},
)
"""Services of the same namespace whose names are left alone: what they are says why."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A namespace with the shop in it."""

    world: World
    ports: dict[str, int]
    """Of each gRPC Service."""
    dialled: dict[str, str]
    """What the front end reads from its environment."""
    pods: list[Json]
    """As the API server has them."""

    @property
    def front_end(self) -> Any:
        """Give the running front end."""
        (pod,) = self.world.kubelet.running(RUNNING, "front-end")
        return pod

    def addresses(self, name: str) -> set[str]:
        """Give those of a Service's pods."""
        return {pod["status"]["podIP"] for pod in self.pods if pod["metadata"]["labels"]["app"] == name}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admitted(world, evenkeel) -> AsyncIterator[Shop]:
    """Apply the manifest, and wait until all its Pods are created; nobody runs them."""
    manifest = documents(MANIFEST)
    await _namespace(world, ADMITTED, manifest)
    await world.apply([_beside(**spec) for spec in BESIDE], namespace=ADMITTED)
    await _apply(world, evenkeel, ADMITTED, manifest)

    async def all_created() -> list[Json]:
        found: list[Json] = await world.pods(ADMITTED)
        return found if len(found) == 25 else []

    pods = await until(all_created, "25 Pods are created")
    yield Shop(world, _ports(manifest), _dialled(manifest), pods)
    await world.delete([one for one in manifest if one["kind"] != "Namespace"], namespace=ADMITTED)
    await world.gone(ADMITTED)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(world, evenkeel, tmp_path_factory) -> AsyncIterator[Shop]:
    """Run the shop; its servers without sidecars, since every Envoy takes of the machine's inotify instances."""
    folder = tmp_path_factory.mktemp("shop")
    world.images["shop-server:latest"] = program(folder / "server", "server.py")
    world.images["shop-front-end:latest"] = program(folder / "front-end", "gateway.py")
    manifest = documents(MANIFEST)
    deployments = [one for one in manifest if one["kind"] == "Deployment"]
    for one in deployments:
        if one["metadata"]["name"] != "front-end":
            one["spec"]["template"]["metadata"]["labels"][names.INJECT] = names.DISABLED
    await _namespace(world, RUNNING, manifest)
    await _apply(world, evenkeel, RUNNING, manifest)
    await asyncio.gather(*(world.available(RUNNING, one["metadata"]["name"], limit=180) for one in deployments))
    yield Shop(world, _ports(manifest), _dialled(manifest), await world.pods(RUNNING))
    await world.delete([one for one in manifest if one["kind"] != "Namespace"], namespace=RUNNING)
    await world.gone(RUNNING)


async def test_every_pod_gets_the_aliases_of_its_namespaces_services_and_no_others(admitted) -> None:
    """Every form of every name, each Service with an address of its own, the same in all Pods."""
    expected = {name: _names_of(name) for name in admitted.ports}
    addresses: Counter[tuple[str, str]] = Counter()

    for pod in admitted.pods:
        aliases = pod["spec"]["hostAliases"]
        assert {one["hostnames"][0]: one["hostnames"] for one in aliases} == expected
        addresses.update((one["hostnames"][0], one["ip"]) for one in aliases)
    assert dict(addresses) == dict.fromkeys(addresses, 25)
    assert len(addresses) == len({address for _, address in addresses}) == 12


async def test_every_pod_gets_the_upstreams_of_its_namespaces_services_and_no_others(admitted) -> None:
    """Those whose names are left alone are upstreams all the same, where their ports say gRPC."""
    also = {"chat": 7100, "clock": 7101}
    expected = sorted(f"{name}.{ADMITTED}:{port}" for name, port in {**admitted.ports, **also}.items())
    found = [json.loads(pod["metadata"]["annotations"][names.STATUS]) for pod in admitted.pods]

    assert [sorted(one["upstreams"]) for one in found] == [expected] * 25
    assert {one["discovery"] for one in found} == {"xds"}
    assert [pod["metadata"]["name"] for pod in admitted.pods if not injected(pod)] == []


async def test_nobody_is_warned_of_what_the_namespace_asks_for(admitted) -> None:
    """Services that are not headless are as they should be where endpoints are pushed."""
    assert await admitted.world.apply(documents(MANIFEST), namespace=ADMITTED) == []


async def test_a_namespace_that_does_not_ask_for_it_gets_no_alias(admitted) -> None:
    """Nor any Service of the shop, which exports none."""
    await admitted.world.namespace(OTHER, {names.INJECT: names.ENABLED})
    container = {"name": "app", "image": "registry.example/app:1"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": {"containers": [container]}}
    await admitted.world.apply([pod], namespace=OTHER)
    (found,) = await admitted.world.pods(OTHER)
    await admitted.world.delete([pod], namespace=OTHER)

    assert injected(found)
    assert "hostAliases" not in found["spec"]
    assert json.loads(found["metadata"]["annotations"][names.STATUS])["upstreams"] == []


async def test_the_front_ends_calls_are_even_over_the_pods_of_each_service(running) -> None:
    """Ten Services, dialled by name and port, each with one connection, which alone would reach one pod."""
    callers = Callers([running.front_end])
    wanted = {target: running.addresses(target.partition(":")[0]) for target in running.dialled.values()}

    async def all_reached() -> bool:
        tallies = {target: await callers.run(target=target, rpcs=8) for target in wanted}
        return all(set(tallies[target].backends) == both for target, both in wanted.items())

    await until(all_reached, "the front end reaches both pods of every Service")
    tallies = {target: await callers.run(target=target, rpcs=RPCS, concurrency=1) for target in wanted}

    assert len(tallies) == 10
    assert {target: dict(tally.errors) for target, tally in tallies.items()} == {target: {} for target in wanted}
    assert {target: dict(tally.backends) for target, tally in tallies.items()} == {
        target: dict.fromkeys(both, RPCS // 2) for target, both in wanted.items()
    }


async def test_the_front_end_reads_the_names_from_its_environment(running) -> None:
    """What is asked over HTTP is a name; the app itself knows which address that is."""
    async with httpx.AsyncClient(base_url=f"http://{running.front_end.address}:8080", trust_env=False) as client:
        texts = {key: (await client.get(f"/{key.removesuffix('_ADDR').lower()}")).text for key in running.dialled}

    for key, text in texts.items():
        answered = Counter(line.rpartition(" ")[2] for line in text.splitlines())
        assert sorted(answered.values()) == [7, 8], (key, text)


async def _apply(world: World, evenkeel: Installed, namespace: str, manifest: list[Json]) -> None:
    """Apply Services, then Deployments when the webhook knows them: aliases are given once, when a Pod is created."""
    await world.apply([one for one in manifest if one["kind"] == "Service"], namespace=namespace)

    async def all_known() -> bool:
        # Of two replicas, either may be asked.
        pods = [await evenkeel.dry_run(namespace) for _ in range(8)]
        return all(len(one["spec"].get("hostAliases", ())) == 12 for one in pods)

    await until(all_known, f"the webhook knows the Services of {namespace}")
    await world.apply([one for one in manifest if one["kind"] == "Deployment"], namespace=namespace)


async def _namespace(world: World, name: str, manifest: list[Json]) -> None:
    """Create a namespace with the labels and annotations of the shop's, as somebody who applies it does first."""
    (wanted,) = (one["metadata"] for one in manifest if one["kind"] == "Namespace")
    await world.namespace(name, wanted["labels"], run=name == RUNNING)
    await world.rest.patch(f"/api/v1/namespaces/{name}", {"metadata": {"annotations": wanted["annotations"]}})


def _beside(name: str, **spec: Any) -> Json:
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": {"app": name}, **spec}}


def _ports(manifest: list[Json]) -> dict[str, int]:
    services = (one for one in manifest if one["kind"] == "Service" and one["metadata"]["name"] != "front-end")
    return {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in services}


def _dialled(manifest: list[Json]) -> dict[str, str]:
    (front_end,) = (one for one in manifest if (one["kind"], one["metadata"]["name"]) == ("Deployment", "front-end"))
    (container,) = front_end["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def _names_of(name: str) -> list[str]:
    return [f"{name}{rest}" for rest in ("", ".shop", ".shop.svc", ".shop.svc.cluster.local")]
