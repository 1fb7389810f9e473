"""What can be broken in a cluster, which check finds it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.check import world
from tests.check.api import FakeApi
from webhook.check.model import Result

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
