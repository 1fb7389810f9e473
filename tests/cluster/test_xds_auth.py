"""Whom `evenkeel xds` lets in, with the rights that are shipped: the real API server judges."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.cluster.kit.ads import token_of
from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.install import NAMESPACE, XDS, accounts, pod, total, until
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.pods import make_node, run_pod
from tests.cluster.kit.rest import Json, Rest
from tests.xds.process import Sidecar, XdsProcess, addresses
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

ORDERS, STOCK, BILLS = "orders.shop:50051", "stock.shop:50051", "bills.store:50051"
RESULTS = "evenkeel_xds_authentications_total"
ZONES = {"node-1": "z1", "node-2": "z2"}
SERVERS = {"orders-1": "node-1", "orders-2": "node-1", "orders-3": "node-2", "orders-4": "node-2"}


@dataclass(frozen=True, slots=True)
class Shop:
    """A cluster with two namespaces: `shop` has servers and a Pod that calls them, `store` another Pod."""

    plane: ControlPlane
    rest: Rest
    front: Json
    stranger: Json

    @asynccontextmanager
    async def replica(self, folder: Path, **settings: object) -> AsyncIterator[XdsProcess]:
        """Run `evenkeel xds` as the account that is shipped."""
        kubeconfig = await self.plane.kubeconfig_for(XDS, NAMESPACE)
        async with XdsProcess(folder, kubeconfig, sidecar_own_namespace=NAMESPACE, **settings) as found:
            yield await found.serving()

    async def caller(self, name: str, node: str = "node-1", namespace: str = "shop") -> Json:
        """Have a Pod that runs on a node."""
        return await _run(self.rest, namespace, name, node, "10.9.0.1", {})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(tmp_path_factory) -> AsyncIterator[Shop]:
    """Start a control plane; what a kubelet and a scheduler would do is done by hand."""
    folder = tmp_path_factory.mktemp("xds-auth")
    async with (
        ControlPlane(folder / "plane", obtain("etcd", "kubernetes")) as plane,
        Rest(plane.kubeconfig) as rest,
    ):
        for namespace in (NAMESPACE, "shop", "store"):
            await plane.namespace(namespace)
        for one in accounts(obtain("kustomize")["kustomize"]):
            await rest.apply(one)
        for node, zone in ZONES.items():
            await make_node(rest, node)
            await rest.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}})
        await rest.post("/api/v1/namespaces/shop/services", _service("orders", trafficDistribution="PreferClose"))
        await rest.post("/api/v1/namespaces/shop/services", _service("stock"))
        await rest.post("/api/v1/namespaces/store/services", _service("bills"))
        for number, (name, node) in enumerate(SERVERS.items(), 1):
            await _run(rest, "shop", name, node, f"10.8.0.{number}", {"app": "orders"})
        front = await _run(rest, "shop", "front", "node-1", "10.9.0.2", {})
        stranger = await _run(rest, "store", "stranger", "node-1", "10.9.0.3", {})
        yield Shop(plane, rest, front, stranger)


async def test_a_pod_s_own_token_lets_it_see_what_its_namespace_may(shop, tmp_path) -> None:
    """Services with an address of their own among it; of another namespace nothing until it exports."""
    async with shop.replica(tmp_path) as replica, replica.channel() as channel:
        mine = Sidecar(channel, await token_of(shop.rest, shop.front))
        theirs = Sidecar(channel, f"Bearer {await token_of(shop.rest, shop.stranger)}")
        found = await _settled(mine, lambda told: len(told[ORDERS]) == 4, ORDERS, STOCK, BILLS)
        hidden = await theirs.first(ORDERS)
        annotations = {"metadata": {"annotations": {names.EXPORT_TO: "store"}}}
        await shop.rest.patch("/api/v1/namespaces/shop/services/orders", annotations)
        exported = await theirs.told()
        await shop.rest.patch(
            "/api/v1/namespaces/shop/services/orders", {"metadata": {"annotations": {names.EXPORT_TO: None}}}
        )
        withdrawn = await theirs.told()

    assert found == {ORDERS: [f"10.8.0.{number}" for number in (1, 2, 3, 4)], STOCK: [], BILLS: []}
    assert (hidden, withdrawn) == ({ORDERS: []}, {ORDERS: []})
    assert exported == {ORDERS: found[ORDERS]}


async def test_a_client_s_zone_is_that_of_the_node_that_its_token_names(shop, tmp_path) -> None:
    """Endpoints of its zone come first, where the Service asks for it."""
    others = await shop.caller("front-2", "node-2")
    first = {}
    async with shop.replica(tmp_path) as replica, replica.channel() as channel:
        for one in (shop.front, others):
            sidecar = Sidecar(channel, await token_of(shop.rest, one))
            await sidecar.asks(ORDERS)
            assignment = (await sidecar.assigned())[ORDERS]
            groups = {group.locality.zone: group.priority for group in assignment.endpoints}
            first[one["metadata"]["name"]] = groups
            assert len(addresses(assignment)) == 4

    assert first == {"front": {"z1": 0, "z2": 1}, "front-2": {"z2": 0, "z1": 1}}


async def test_who_is_not_a_pod_with_a_token_for_us_is_refused_logged_once_and_counted(shop, tmp_path) -> None:
    """Missing, for somebody else, of no Pod, forged, expired, of a Pod that was deleted."""
    good = await token_of(shop.rest, shop.front)
    shown: dict[str, tuple[str | None, str]] = {
        "missing": (None, "there is no token"),
        "malformed": ("abc", "it is no JSON web token"),
        "wrong-audience": (await token_of(shop.rest, shop.front, "https://elsewhere"), "is not for evenkeel-xds"),
        "not-a-pod": (
            await shop.plane.token_for("default", "shop", audience=names.TOKEN_AUDIENCE),
            "is that of system:serviceaccount:shop:default, not of a Pod",
        ),
        "expired": (_resigned(shop, good, ends_in=-20), "the token has expired"),
        "not-believed": (await _of_a_deleted_pod(shop), "the API server does not believe the token"),
    }
    forged = good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB")
    async with shop.replica(tmp_path) as replica, replica.channel() as channel:
        told = {reason: [await _refusal(channel, token) for _ in range(2)] for reason, (token, _) in shown.items()}
        forgery = await _refusal(channel, forged)
        metrics = (await replica.health("/metrics"))[1]
        proved = await Sidecar(channel, good).first(ORDERS)
        logged = replica.events("client refused")
        written = replica.log_file.read_text()

    assert {code for each in [*told.values(), [forgery]] for code, _ in each} == {grpc.StatusCode.UNAUTHENTICATED}
    assert {reason: sentence for reason, (_, sentence) in shown.items() if sentence not in told[reason][0][1]} == {}
    assert {line["reason"]: line["problem"] for line in logged} == {reason: told[reason][0][1] for reason in shown}
    assert len(logged) == len(shown)
    counts = {reason: total(metrics, RESULTS, result=reason) for reason in shown}
    assert counts == dict.fromkeys(shown, 2) | {"not-believed": 3}
    assert len(proved[ORDERS]) == 4
    assert not [token for token, _ in shown.values() if token and len(token) > 10 and token in written]


async def test_a_token_for_the_api_server_is_not_one_for_us(shop, tmp_path) -> None:
    """That which every Pod has anyway, and which lets whoever holds it act as the Pod."""
    async with shop.replica(tmp_path) as replica, replica.channel() as channel:
        code, sentence = await _refusal(channel, await shop.plane.token_for("default", "shop"))

    assert (code, "is not for evenkeel-xds" in sentence) == (grpc.StatusCode.UNAUTHENTICATED, True)


async def test_a_namespace_that_needs_no_token_is_the_only_one(shop, tmp_path) -> None:
    """Its clients see what they would see with one."""
    async with (
        shop.replica(tmp_path, xds_unauthenticated_namespaces="shop") as replica,
        replica.channel() as channel,
    ):
        found = await Sidecar(channel, None, "front.shop").first(ORDERS)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Sidecar(channel, None, "stranger.store").first(BILLS)

    assert len(found[ORDERS]) == 4
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_without_the_api_server_who_was_reviewed_comes_back_and_who_was_not_waits(shop, tmp_path) -> None:
    """Every review counts for no time here, so that each connection asks anew; back, it serves everybody."""
    known, new = await token_of(shop.rest, shop.front), await token_of(shop.rest, shop.stranger)
    async with shop.replica(tmp_path, xds_review_seconds=0) as replica:
        async with replica.channel() as channel:
            await Sidecar(channel, known).first(ORDERS)
        await shop.plane.stop_apiserver()
        try:
            async with replica.channel() as channel:
                found = await Sidecar(channel, known).first(ORDERS)
                stranger = await _refusal(channel, new)
            ready = (await replica.health("/readyz"))[0]
            metrics = (await replica.health("/metrics"))[1]
        finally:
            await shop.plane.start_apiserver()
        async with replica.channel() as channel:
            back = await until(lambda: _let_in(channel, new), "let in")

    assert len(found[ORDERS]) == 4
    assert stranger[0] is grpc.StatusCode.UNAVAILABLE
    assert ready == 200
    assert total(metrics, "evenkeel_xds_tokens_believed_unreviewed_total") == 1
    assert back == {BILLS: []}


async def _settled(
    sidecar: Sidecar, holds: Callable[[dict[str, list[str]]], bool], *wanted: str
) -> dict[str, list[str]]:
    """Follow until what is known holds: the controller of EndpointSlices takes its time."""
    found = await sidecar.first(*wanted)
    async with asyncio.timeout(20):
        while not holds(found):
            found |= await sidecar.told()
    return found


async def _refusal(channel: grpc.aio.Channel, token: str | None) -> tuple[grpc.StatusCode, str]:
    sidecar = Sidecar(channel, token)
    code = await sidecar.refused()
    return code, await sidecar.call.details()


async def _let_in(channel: grpc.aio.Channel, token: str) -> dict[str, list[str]] | None:
    try:
        return await Sidecar(channel, token).first(BILLS)
    except grpc.aio.AioRpcError:
        return None


async def _run(rest: Rest, namespace: str, name: str, node: str, address: str, labels: dict[str, str]) -> Json:
    document = pod(name=name, labels=labels)
    await rest.post(f"/api/v1/namespaces/{namespace}/pods", document)
    found: Json = await run_pod(rest, namespace, name, address, node=node)
    return found


async def _of_a_deleted_pod(shop: Shop) -> str:
    """Give a token whose Pod is no more, once the API server knows."""
    gone = await shop.caller("gone")
    token = await token_of(shop.rest, gone)
    await shop.rest.delete("/api/v1/namespaces/shop/pods/gone", gracePeriodSeconds=0)

    async def is_refused() -> bool:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
        spec = {"token": token, "audiences": [names.TOKEN_AUDIENCE]}
        answer = await shop.rest.post("/apis/authentication.k8s.io/v1/tokenreviews", {**review, "spec": spec})
        return not answer["status"].get("authenticated")

    await until(is_refused, "refused by the API server")
    return token


def _resigned(shop: Shop, token: str, *, ends_in: float) -> str:
    """Give a token like another that ends at another time, signed with the API server's own key."""
    head, claims = (json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    now = int(time.time())
    claims |= {"iat": now - 3600, "nbf": now - 3600, "exp": int(now + ends_in)}
    text = ".".join(_part(json.dumps(part).encode()) for part in (head, claims))
    key: Any = serialization.load_pem_private_key(
        (shop.plane.folder / "pki" / "service-accounts.key").read_bytes(), password=None
    )
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _part(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _service(name: str, **spec: Any) -> Json:
    ports = [{"name": "grpc", "port": 50051}]
    metadata = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }
