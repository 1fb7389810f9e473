"""More that can be broken: namespaces, Services, workloads, Pods and the cluster itself."""

from __future__ import annotations

from tests import builders
from tests.check import world
from tests.check.api import FakeApi
from tests.check.faults import fault
from webhook.check.model import Result
from webhook.core import names
from webhook.kube.errors import Forbidden

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


@fault("namespace-annotations", Result.WARNING, "annotation evenkeel.dev/discovery: found 'eds', treated as not set")
def _odd_annotation_of_a_namespace(api: FakeApi) -> None:
    api.put(builders.namespace("attic", annotations={names.DISCOVERY: "eds"}))


@fault("captured-names", Result.WARNING, "orders.shop: it has a port that is not TCP (UDP)")
def _name_that_cannot_be_captured(api: FakeApi) -> None:
    ports = [builders.port(50051, "grpc"), builders.port(53, "dns", protocol="UDP")]
    api.put(builders.service("orders", *ports, annotations={names.CAPTURE: names.ENABLED}))


@fault("captured-names", Result.WARNING, "users.shop: it is not headless: that takes evenkeel.dev/discovery: xds")
def _name_behind_an_address(api: FakeApi) -> None:
    api.put(builders.service("users", clusterIP="10.0.0.9", annotations={names.CAPTURE: names.ENABLED}))


@fault("older-pods", Result.WARNING, "created before calls to orders.shop were to be captured")
def _pods_older_than_what_is_asked(api: FakeApi) -> None:
    api.find("Namespace", "shop")["metadata"]["annotations"] = {names.CAPTURE: names.ENABLED}


@fault("privileged-ports", Result.WARNING, "node old-1 runs cri-o://1.36.0")
def _runtime_that_keeps_low_ports_for_root(api: FakeApi) -> None:
    node = world.node("old-1")
    node["status"]["nodeInfo"]["containerRuntimeVersion"] = "cri-o://1.36.0"
    api.put(node)
    [container] = api.find("Deployment", "evenkeel-webhook")["spec"]["template"]["spec"]["containers"]
    container.setdefault("env", []).append({"name": "EVENKEEL_SIDECAR_PRIVILEGED_PORTS", "value": "true"})


@fault("xds-ready", Result.FAILED, "0 of 2 replicas of Deployment evenkeel-system/evenkeel-xds are ready")
def _nobody_pushes(api: FakeApi) -> None:
    _ask_for_pushing(api)
    api.find("Deployment", "evenkeel-xds")["status"] = {}


@fault("endpoints", Result.WARNING, "EndpointSlice shop/by-name: addressType 'FQDN'")
def _endpoints_that_nobody_can_be_told_of(api: FakeApi) -> None:
    api.find("Namespace", "shop")["metadata"]["annotations"] = {names.DISCOVERY: "xds"}
    by_name = {"metadata": {"namespace": "shop", "name": "by-name", "labels": {names.SLICE_SERVICE: "orders"}}}
    api.put({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "FQDN", **by_name})


@fault("xds-ready", Result.FAILED, "Deployment evenkeel-system/evenkeel-xds does not exist")
def _nobody_was_installed_who_pushes(api: FakeApi) -> None:
    _ask_for_pushing(api)
    api.drop("Deployment", "evenkeel-xds")


def _ask_for_pushing(api: FakeApi) -> None:
    api.find("Namespace", "shop")["metadata"]["annotations"] = {names.DISCOVERY: "xds"}


@fault("upstreams", Result.WARNING, "namespace shop sees no gRPC Service to balance over")
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
