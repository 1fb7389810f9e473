"""One thing is broken in a cluster in which all else is well: the check that is for it says so, with the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests import builders
from tests.check import world
from tests.check.api import FakeApi, Json
from tests.check.kit import findings, lines
from webhook.check.model import Result
from webhook.core import names
from webhook.kube.errors import Forbidden, Unreachable

Break = Callable[[FakeApi], object]
FAULTS: dict[str, tuple[Break, str, Result, str]] = {}


def fault(check: str, result: Result, says: str) -> Callable[[Break], Break]:
    """Register what is broken, which check finds it, and what it says."""

    def register(broken: Break) -> Break:
        FAULTS[broken.__name__.strip("_").replace("_", "-")] = (broken, check, result, says)
        return broken

    return register


def bare(api: FakeApi, *warnings: str) -> None:
    """Have Pods come back without a sidecar."""
    api.admit = lambda _, pod: (pod, warnings)


# The five that the README shows.


@fault("ca-agreement", Result.FAILED, "refuses the certificate that is served: it was issued by")
def _wrong_ca_bundle(api: FakeApi) -> None:
    api.put(*world.webhook_entries(world.STRANGER))
    bare(api)


@fault("rbac", Result.FAILED, "ServiceAccount evenkeel-webhook may not watch services")
def _no_rbac(api: FakeApi) -> None:
    api.denied.add(("evenkeel-webhook", "watch services"))


@fault("dry-run", Result.FAILED, "the webhook is down, or something between the API server and port 10250")
def _webhook_down_though_its_status_is_right(api: FakeApi) -> None:
    bare(api, "this Pod has no Evenkeel sidecar")


@fault("not-headless", Result.WARNING, "Service shop/orders: port 50051 is named grpc, and it is not headless")
def _service_not_headless(api: FakeApi) -> None:
    api.find("Service", "orders")["spec"]["clusterIP"] = "10.96.0.7"


@fault("workload-annotations", Result.WARNING, "did you mean evenkeel.dev/upstreams?")
def _typo_in_an_annotation_of_a_pod(api: FakeApi) -> None:
    template = api.find("Deployment", "web")["spec"]["template"]
    template["metadata"]["annotations"] = {"evenkeel.dev/upstream-s": "orders"}


@fault("service-annotations", Result.WARNING, "did you mean evenkeel.dev/retry?")
def _typo_in_an_annotation_of_a_service(api: FakeApi) -> None:
    api.find("Service", "orders")["metadata"]["annotations"] = {"evenkeel.dev/retri": "safe"}


# The control plane.


@fault("namespace", Result.FAILED, "namespace evenkeel-system does not exist")
def _not_installed(api: FakeApi) -> None:
    api.drop("Namespace", world.SYSTEM)


@fault("webhook-ready", Result.FAILED, "ImagePullBackOff: Back-off pulling image")
def _image_is_not_found(api: FakeApi) -> None:
    deployment = api.find("Deployment", "evenkeel-webhook")
    deployment["status"] = {"readyReplicas": 0}
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    api.put(world.member("0", deployment, phase="Pending", containerStatuses=[{"name": "webhook", "state": state}]))


@fault("webhook-ready", Result.FAILED, "is scaled to 0")
def _scaled_to_nothing(api: FakeApi) -> None:
    api.find("Deployment", "evenkeel-webhook")["spec"]["replicas"] = 0


@fault("webhook-ready", Result.WARNING, "1 of 2 replicas")
def _one_replica_is_not_ready(api: FakeApi) -> None:
    api.find("Deployment", "evenkeel-webhook")["status"] = {"readyReplicas": 1}


@fault("webhook-replicas", Result.WARNING, "while it restarts, Pods are created without a sidecar")
def _one_replica_only(api: FakeApi) -> None:
    deployment = api.find("Deployment", "evenkeel-webhook")
    deployment["spec"]["replicas"] = deployment["status"]["readyReplicas"] = 1


@fault("reconciler-ready", Result.WARNING, "Pods keep the upstreams they were created with")
def _reconciler_left_out(api: FakeApi) -> None:
    api.drop("Deployment", "evenkeel-reconciler")


@fault("reconciler-lease", Result.FAILED, "nobody holds Lease")
def _nobody_leads(api: FakeApi) -> None:
    api.find("Lease", "evenkeel-reconciler")["spec"] = {}


@fault("reconciler-lease", Result.FAILED, "was last renewed 2 hours ago")
def _leader_is_gone(api: FakeApi) -> None:
    spec = api.find("Lease", "evenkeel-reconciler")["spec"]
    spec["renewTime"] = (world.NOW - timedelta(hours=2)).isoformat()


@fault("versions", Result.WARNING, "evenkeel-webhook runs docker.io/evenkeel/evenkeel:9.9.9")
def _another_version_runs(api: FakeApi) -> None:
    template = api.find("Deployment", "evenkeel-webhook")["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "docker.io/evenkeel/evenkeel:9.9.9"


@fault("service-endpoints", Result.FAILED, "has no ready endpoint")
def _no_endpoint_is_ready(api: FakeApi) -> None:
    api.find("EndpointSlice", "evenkeel-webhook-x7k2p")["endpoints"][0]["conditions"] = {"ready": False}


@fault("service-endpoints", Result.FAILED, "Service evenkeel-system/evenkeel-webhook does not exist")
def _service_is_missing(api: FakeApi) -> None:
    api.drop("Service", "evenkeel-webhook")


# What the API server was told.


@fault("mutating-webhook", Result.FAILED, "webhooks[inject.evenkeel.dev].failurePolicy: found 'Fail', shipped 'Ignore'")
def _webhook_that_may_stop_the_cluster(api: FakeApi) -> None:
    api.find("MutatingWebhookConfiguration", "evenkeel")["webhooks"][0]["failurePolicy"] = "Fail"


@fault("mutating-webhook", Result.WARNING, "timeoutSeconds: found 10, shipped 3")
def _webhook_with_a_long_time_out(api: FakeApi) -> None:
    api.find("MutatingWebhookConfiguration", "evenkeel")["webhooks"][1]["timeoutSeconds"] = 10


@fault("mutating-webhook", Result.FAILED, "the API server calls nobody")
def _webhook_configuration_is_missing(api: FakeApi) -> None:
    api.drop("MutatingWebhookConfiguration", "evenkeel")


@fault("validating-webhook", Result.FAILED, "ValidatingWebhookConfiguration evenkeel does not exist")
def _nobody_warns(api: FakeApi) -> None:
    api.drop("ValidatingWebhookConfiguration", "evenkeel")


@fault("policies", Result.FAILED, "ValidatingAdmissionPolicyBinding evenkeel-bare-pods-warn does not exist")
def _policy_is_not_bound(api: FakeApi) -> None:
    api.drop("ValidatingAdmissionPolicyBinding", "evenkeel-bare-pods-warn")


@fault("policies", Result.WARNING, "spec.validationActions")
def _policy_only_audits(api: FakeApi) -> None:
    api.find("ValidatingAdmissionPolicyBinding", "evenkeel-labels")["spec"]["validationActions"] = ["Audit"]


# Certificates.


@fault("ca-bundle", Result.FAILED, "inject.evenkeel.dev: caBundle is empty")
def _no_ca_bundle_yet(api: FakeApi) -> None:
    del api.find("MutatingWebhookConfiguration", "evenkeel")["webhooks"][0]["clientConfig"]["caBundle"]


@fault("ca-agreement", Result.FAILED, "it is for elsewhere.example.com, and not for evenkeel-webhook")
def _certificate_for_another_name(api: FakeApi) -> None:
    api.put(world.secret(world.issue(name="elsewhere.example.com")))


@fault("certificate-lifetime", Result.FAILED, "expired on 2026-05-31")
def _expired_certificate(api: FakeApi) -> None:
    api.put(world.secret(world.issue(ends=-1)))


@fault("certificate-lifetime", Result.WARNING, "10% of its life: it should have been renewed by now")
def _certificate_that_nobody_renews(api: FakeApi) -> None:
    api.put(world.secret(world.issue(begins=-90, ends=10)))


@fault("certificate", Result.WARNING, "cannot be looked at")
def _secrets_may_not_be_read(api: FakeApi) -> None:
    api.denied.add(("", "get secrets"))


@fault("certificate", Result.FAILED, "Secret evenkeel-system/evenkeel-webhook-tls does not exist")
def _certificate_was_never_made(api: FakeApi) -> None:
    api.drop("Secret", "evenkeel-webhook-tls")


# Namespaces and Services.


@fault("labelled-namespaces", Result.WARNING, "no namespace asks for sidecars")
def _nothing_is_labelled(api: FakeApi) -> None:
    api.find("Namespace", "shop")["metadata"]["labels"] = {}


@fault("namespace-labels", Result.WARNING, "found 'enable', treated as not set; accepted: enabled, disabled")
def _odd_label_value(api: FakeApi) -> None:
    api.put(builders.namespace("attic", labels={names.INJECT: "enable"}))


@fault("system-namespaces", Result.WARNING, "namespace kube-system is labelled, and never injected")
def _system_namespace_is_labelled(api: FakeApi) -> None:
    api.put(builders.namespace("kube-system", labels={names.INJECT: names.ENABLED}))


@fault("upstreams", Result.WARNING, "namespace shop sees no headless gRPC Service")
def _nothing_to_balance_over(api: FakeApi) -> None:
    api.drop("Service", "orders")


@fault("not-declared", Result.WARNING, "port 50051 does not say what it carries, and is taken for gRPC")
def _port_says_nothing(api: FakeApi) -> None:
    api.find("Service", "orders")["spec"]["ports"] = [builders.port(50051)]


@fault("not-declared", Result.WARNING, "port 50051 has gRPC's usual number, yet none of its ports says gRPC")
def _port_with_a_name_that_is_not_grpc(api: FakeApi) -> None:
    api.find("Service", "orders")["spec"]["ports"] = [builders.port(50051, "api")]


@fault("ambiguous-paths", Result.WARNING, "gRPC service shop.Orders is claimed by orders.shop and orders2.shop")
def _two_services_claim_one_path(api: FakeApi) -> None:
    claim = {names.GRPC_SERVICES: "shop.Orders"}
    api.put(builders.service("orders", annotations=claim), builders.service("orders2", annotations=claim))


# Workloads and Pods.


@fault("workload-annotations", Result.FAILED, "its Pods are refused: annotation evenkeel.dev/app-port: found 'many'")
def _annotation_that_refuses_pods(api: FakeApi) -> None:
    template = api.find("Deployment", "web")["spec"]["template"]
    template["metadata"]["annotations"] = {names.APP_PORT: "many"}


@fault("workload-annotations", Result.WARNING, "no sidecar (port-conflict): container 'app' declares port 9001")
def _port_of_ours_is_taken(api: FakeApi) -> None:
    api.put(builders.deployment("taken", {"containerPort": 9001}))


@fault("http-proxy", Result.WARNING, "add localhost,127.0.0.1 to no_proxy")
def _http_proxy_takes_localhost(api: FakeApi) -> None:
    container = api.find("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "http_proxy", "value": "http://proxy:3128"}]


@fault("bare-pods", Result.FAILED, "Deployment shop/web: 1 pod (web-6d4b-old) without a sidecar")
def _pod_from_before_the_label(api: FakeApi) -> None:
    api.put(world.member("old", api.find("Deployment", "web")))


@fault("configuration", Result.WARNING, "Deployment shop/web: 2 pods (web-6d4b-0, web-6d4b-1) with a configuration")
def _service_that_pods_do_not_know(api: FakeApi) -> None:
    api.put(builders.service("users"))


@fault("bootstrap", Result.WARNING, "started with an older bootstrap")
def _pod_with_an_older_bootstrap(api: FakeApi) -> None:
    api.find("Pod", "web-6d4b-0")["metadata"]["annotations"][names.BOOTSTRAP] = "node: {}"


@fault("envoy-image", Result.WARNING, "web-6d4b-0) with docker.io/envoyproxy/envoy:v1.30.0, now it would be")
def _pod_with_an_older_envoy(api: FakeApi) -> None:
    api.find("Pod", "web-6d4b-0")["spec"]["initContainers"][0]["image"] = "docker.io/envoyproxy/envoy:v1.30.0"


# The cluster, and the Pod that is only tried.


@fault("api-version", Result.FAILED, "the API server is v1.29.9")
def _api_server_is_too_old(api: FakeApi) -> None:
    api.git = "v1.29.9"


@fault("kubelet-version", Result.FAILED, "node old-1 runs kubelet v1.28.15")
def _kubelet_is_too_old(api: FakeApi) -> None:
    api.put(world.node("old-1", "v1.28.15"), world.node("panes", "v1.27.0", "windows"))


@fault("kubelet-version", Result.WARNING, "cannot be looked at")
def _nodes_may_not_be_listed(api: FakeApi) -> None:
    api.denied.add(("", "list nodes"))


@fault("admission-api", Result.FAILED, "does not serve validatingadmissionpolicies")
def _policies_are_not_served(api: FakeApi) -> None:
    path = "/apis/admissionregistration.k8s.io/v1"
    api.served[path] = tuple(name for name in api.served[path] if "policies" not in name)


@fault("dry-run", Result.WARNING, "refused before anybody could see whether it is injected: exceeded quota")
def _quota_refuses_the_pod(api: FakeApi) -> None:
    api.broken["/api/v1/namespaces/shop/pods"] = Forbidden("create", "pods", "exceeded quota: small", status=403)


@fault("dry-run", Result.SKIPPED, "you may not create Pods in shop")
def _pods_may_not_be_created(api: FakeApi) -> None:
    api.denied.add(("", "create pods"))


@fault("dns-cache", Result.SKIPPED, "there is no Corefile in ConfigMap kube-system/coredns")
def _another_dns(api: FakeApi) -> None:
    api.drop("ConfigMap", "coredns")


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_found_and_named(name: str) -> None:
    """Whoever reads the report learns what is wrong where, and what would mend it."""
    broken, check, result, says = FAULTS[name]
    api = world.healthy()
    broken(api)

    found = (await findings(api))[check]

    assert found.result is result
    assert says in "\n".join(found.found)
    assert found.remedy or found.result is Result.SKIPPED


async def test_a_healthy_cluster_has_nothing_but_ticks() -> None:
    """No check cries wolf."""
    found = await findings(world.healthy())

    assert {name: finding for name, finding in found.items() if finding.result is not Result.OK} == {}


async def test_an_api_server_that_does_not_answer_is_one_cross() -> None:
    """Everything else needs it, and is skipped with that reason."""
    api = world.healthy()
    api.broken["/version"] = Unreachable("get", "/version", "connection refused")

    found = await findings(api)

    assert found.pop("api-reachable").result is Result.FAILED
    assert {finding.result for finding in found.values()} == {Result.SKIPPED}
    assert {finding.found for finding in found.values()} == {("not looked at: 'the API server answers' failed",)}


async def test_what_hangs_is_told_once_and_not_waited_for_again() -> None:
    """The first check that needs it runs out of time; those after it do not begin to wait."""
    api = world.healthy()
    listed = []

    async def hang(path: str, **params: str) -> Json:
        if path.endswith("/services"):
            listed.append(path)
            await asyncio.Event().wait()
        return await FakeApi.list(api, path, **params)  # type: ignore[return-value]

    api.list = hang  # type: ignore[method-assign,assignment]
    found = {line.name: line.finding for line in await lines(api, limit=0.05)}

    assert found["upstreams"].found == ("no result within 0.05 s",)
    assert found["not-headless"].result is Result.SKIPPED
    assert found["dry-run"].result is Result.OK
    assert len(listed) == 1
