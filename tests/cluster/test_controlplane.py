"""The control plane that the other cluster tests stand on does what a real one does."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
import pytest_asyncio

from tests.cluster.kit import identity
from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.pods import make_node, run_pod
from tests.cluster.kit.process import ProgramDied
from tests.cluster.kit.rest import Rest, RestError, until
from tests.controlplane import build

pytestmark = pytest.mark.cluster

WEBHOOK_CLIENTS = identity.Authority.create("webhook clients")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plane(tmp_path_factory) -> AsyncIterator[ControlPlane]:
    """One for all tests here; each has a namespace of its own."""
    folder = tmp_path_factory.mktemp("controlplane")
    client = identity.webhook_kubeconfig(WEBHOOK_CLIENTS.issue("kube-apiserver"))
    shown = identity.write_document(folder / "webhooks.kubeconfig", client)
    async with ControlPlane(folder, obtain("etcd", "kubernetes"), webhook_kubeconfig=shown) as plane:
        yield plane


@pytest_asyncio.fixture
async def rest(plane) -> AsyncIterator[Rest]:
    """Send requests as an administrator."""
    async with Rest(plane.kubeconfig) as rest:
        yield rest


def _labelled(kind, name, api_version="v1", **fields):
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _pod_spec():
    return {"containers": [{"name": "app", "image": "registry.example/app:1"}]}


def _config_map(name, **data):
    return _labelled("ConfigMap", name, data=data)


@pytest.mark.skipif(build.ASSETS in os.environ, reason="the version is that of the given programs")
async def test_the_version_is_the_one_of_the_go_module(rest):
    """Stamped when it was linked."""
    family = build.FAMILIES["kubernetes"]
    version = await rest.get("/version")

    assert version["gitVersion"] == build.required(family.folder, family.module)


async def test_a_deployment_becomes_pods_that_carry_a_token(plane, rest):
    """By way of a ReplicaSet, with the admission plugin for service accounts on."""
    await plane.namespace("deployed")
    template = {"metadata": {"labels": {"app": "web"}}, "spec": _pod_spec()}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    await rest.apply(_labelled("Deployment", "web", "apps/v1", spec=spec), namespace="deployed")

    pods = await until(rest, "/api/v1/namespaces/deployed/pods", lambda found: len(found["items"]) == 2)

    for pod in pods["items"]:
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
        assert [one["mountPath"] for one in pod["spec"]["containers"][0]["volumeMounts"]] == [
            "/var/run/secrets/kubernetes.io/serviceaccount"
        ]


async def test_a_service_gets_an_endpoint_slice_with_the_ready_pods(plane, rest):
    """Once a node has them."""
    await plane.namespace("served")
    await rest.apply(_labelled("Pod", "web", spec=_pod_spec()), namespace="served")
    service = {"selector": {"app": "web"}, "ports": [{"port": 80}], "clusterIP": "None"}
    await rest.apply(_labelled("Service", "web", spec=service), namespace="served")
    await make_node(rest)
    await run_pod(rest, "served", "web", "10.244.3.4")

    slices = await until(
        rest,
        "/apis/discovery.k8s.io/v1/namespaces/served/endpointslices",
        lambda found: any(one["endpoints"] for one in found["items"]),
    )

    (endpoint,) = slices["items"][0]["endpoints"]
    assert endpoint["addresses"] == ["10.244.3.4"]
    assert endpoint["conditions"]["ready"]


async def test_a_service_account_may_do_only_what_rbac_says(plane, rest):
    """Nothing, then what it is bound to."""
    await plane.namespace("bound")
    await rest.apply(_labelled("ServiceAccount", "reader"), namespace="bound")
    async with Rest(await plane.kubeconfig_for("reader", "bound")) as reader:
        with pytest.raises(RestError) as refused:
            await reader.get("/api/v1/namespaces/bound/configmaps")

        assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
        assert "system:serviceaccount:bound:reader" in refused.value.message

        group = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "bound"}
        role = {"apiGroup": group, "kind": "ClusterRole", "name": "view"}
        binding = _labelled("RoleBinding", "reader", f"{group}/v1", subjects=[subject], roleRef=role)
        await rest.apply(binding, namespace="bound")
        # The authorizer learns of it by a watch of its own.
        found = await until(reader, "/api/v1/namespaces/bound/configmaps", bool, refused=(403,))

        assert [one["metadata"]["name"] for one in found["items"]] == ["kube-root-ca.crt"]


async def test_a_person_is_known_by_the_certificate(plane):
    """With its groups."""
    async with Rest(plane.kubeconfig_of("ada", "developers")) as ada:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await ada.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)

    user = answer["status"]["userInfo"]
    assert user["username"] == "ada"
    assert "developers" in user["groups"]


async def test_a_restart_keeps_what_was_stored(plane, rest):
    """And is a new process."""
    await plane.namespace("kept")
    await rest.apply(_config_map("settings", colour="blue"), namespace="kept")
    before = plane.pid("kube-apiserver")

    await plane.restart_apiserver()

    assert plane.pid("kube-apiserver") not in {0, before}
    kept = await rest.get("/api/v1/namespaces/kept/configmaps/settings")
    assert kept["data"] == {"colour": "blue"}


async def test_what_happened_before_a_compaction_is_gone(plane, rest):
    """A watch that could go on before is told 410 Gone."""
    await plane.namespace("forgotten")
    collection = "/api/v1/namespaces/forgotten/configmaps"
    old = (await rest.get(collection))["metadata"]["resourceVersion"]
    await rest.apply(_config_map("settings"), namespace="forgotten")
    async for event in rest.watch(collection, resourceVersion=old):
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "settings")
        break

    await plane.forget_history()

    with pytest.raises(RestError) as refused:
        async for _ in rest.watch(collection, resourceVersion=old):
            pass
    assert (refused.value.status, refused.value.reason) == (410, "Expired")


async def test_compacting_twice_is_no_error(plane):
    """Also when nothing was written in between."""
    first = await plane.compact()

    assert await plane.compact() >= first


async def test_warnings_come_with_the_answer(plane, rest):
    """As kubectl would print them."""
    await plane.namespace("warned")
    path = "/api/v1/namespaces/warned/endpoints"
    _, warnings = await rest.post_with_warnings(path, {**_labelled("Endpoints", "web"), "colour": "blue"})

    assert 'unknown field "colour"' in warnings
    assert rest.warnings == warnings


async def test_a_dry_run_leaves_nothing(plane, rest):
    """But shows what would be stored."""
    await plane.namespace("dry")
    shown, _ = await rest.apply(_config_map("settings"), dry_run=True, namespace="dry")

    assert shown["metadata"]["namespace"] == "dry"
    with pytest.raises(RestError) as refused:
        await rest.get("/api/v1/namespaces/dry/configmaps/settings")
    assert refused.value.reason == "NotFound"


async def test_an_unknown_kind_is_named(rest):
    """Before anything is sent."""
    with pytest.raises(RestError, match="knows no Gadget of v1"):
        await rest.apply(_labelled("Gadget", "one"))


async def test_metrics_are_the_api_servers_own(plane):
    """As Prometheus would read them."""
    assert "apiserver_request_total{" in await plane.metrics()


async def test_a_webhook_is_shown_the_certificate(plane, rest):
    """One that demands it, else there would be no call."""
    await plane.namespace("hooked", {"hooked": "yes"})
    async with _webhook() as (port, callers):
        hook = {
            "name": "looks.example.org",
            "clientConfig": {
                "url": f"https://127.0.0.1:{port}/",
                "caBundle": b64encode(WEBHOOK_CLIENTS.pair.cert).decode(),
            },
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]}],
            "namespaceSelector": {"matchLabels": {"hooked": "yes"}},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
        }
        kind = "ValidatingWebhookConfiguration"
        await rest.apply(_labelled(kind, "looks", "admissionregistration.k8s.io/v1", webhooks=[hook]))
        async with asyncio.timeout(60):
            while not callers:
                await rest.post("/api/v1/namespaces/hooked/secrets", {"metadata": {"generateName": "s-"}})
        await rest.delete("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/looks")

    assert callers[0] == "kube-apiserver"


@asynccontextmanager
async def _webhook():
    """Serve a webhook that allows everything, and note who calls."""
    callers: list[str] = []

    async def answer(reader, writer):
        names = dict(pair for (pair,) in writer.get_extra_info("peercert")["subject"])
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        review = json.loads(await reader.readexactly(length))
        response = {"uid": review["request"]["uid"], "allowed": True}
        body = json.dumps(
            {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
        ).encode()
        callers.append(names["commonName"])
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=_demanding())
    async with server:
        yield server.sockets[0].getsockname()[1], callers


def _demanding():
    pair = WEBHOOK_CLIENTS.issue("webhook", sans=["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=WEBHOOK_CLIENTS.pair.cert.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    pair.load_into(context)
    return context


async def test_one_that_dies_at_its_start_says_why(tmp_path):
    """At once, and the others are ended."""
    plane = ControlPlane(tmp_path, obtain("etcd", "kubernetes"), apiserver_flags=["--no-such-flag"])

    with pytest.raises(ProgramDied, match=r"kube-apiserver ended with code 1.*\n.*no-such-flag"):
        await plane.__aenter__()

    assert plane.pid("etcd") == 0


async def test_leaving_ends_every_program(tmp_path):
    """None outlives the tests."""
    async with ControlPlane(tmp_path, obtain("etcd", "kubernetes")) as plane:
        programs = [plane.pid(name) for name in ("etcd", "kube-apiserver", "kube-controller-manager")]
        assert 0 not in programs

    assert not [pid for pid in programs if psutil.pid_exists(pid)]
