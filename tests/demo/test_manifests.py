"""What the demo makes of manifests, and whose Pods it sends to the webhook."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from webhook.core import names
from webhook.demo import dialled_names
from webhook.demo.calls import Callers
from webhook.demo.cluster import Cluster
from webhook.demo.scenario import annotated, documents, manifests, renamed, scaled, without_label

GATEWAY = next(
    one for one in manifests("hoge") if (one["kind"], one["metadata"]["name"]) == ("Deployment", "hoge-gateway")
)


@pytest.mark.parametrize(
    ("namespace", "pod", "sent"),
    [
        ("enabled", None, True),
        ("enabled", "disabled", False),
        (None, None, False),
        (None, "enabled", True),
        ("disabled", "enabled", False),
    ],
)
def test_pods_are_sent_to_the_webhook_as_an_api_server_would(namespace, pod, sent):
    """By the selectors of the webhook's configuration."""
    cluster = Cluster(SimpleNamespace(), SimpleNamespace())
    cluster._namespaces["shop"] = {"metadata": {"labels": {names.INJECT: namespace} if namespace else {}}}
    document = {"metadata": {"namespace": "shop", "labels": {names.INJECT: pod} if pod else None}}

    assert sent is cluster._selected(document)


def test_a_namespace_loses_its_label_and_keeps_its_annotations():
    """So that both phases have the same words."""
    [namespace] = [one for one in documents(dialled_names._MANIFESTS) if one["kind"] == "Namespace"]

    bare = without_label(namespace)["metadata"]
    assert {"name": "names", "annotations": {names.CAPTURE: names.ENABLED}} == bare
    assert GATEWAY is without_label(GATEWAY)


def test_what_is_written_on_a_deployments_pods_changes_nothing_else():
    """Nor the document that it was read from."""
    other = renamed(annotated(GATEWAY, {names.DISCOVERY: "xds"}), "other", replicas=2)
    template = other["spec"]["template"]

    assert ("other", 2) == (other["metadata"]["name"], other["spec"]["replicas"])
    assert {names.DISCOVERY: "xds"} == template["metadata"]["annotations"]
    assert GATEWAY["spec"]["template"]["metadata"]["labels"] == template["metadata"]["labels"]
    assert "annotations" not in GATEWAY["spec"]["template"]["metadata"]


def test_only_the_deployment_that_is_meant_is_scaled():
    """By its name."""
    assert [10, 4] == [scaled(GATEWAY, name, 10)["spec"]["replicas"] for name in ("hoge-gateway", "hoge-app")]


@pytest.mark.parametrize(
    ("env", "port"),
    [
        ([], 8080),
        (None, 8080),
        ([{"name": "A", "valueFrom": {}}, {"name": "ECHO_CONTROL_PORT", "value": "9090"}], 9090),
    ],
)
def test_a_caller_is_told_what_to_call_where_it_listens(env, port):
    """One that calls port 8080 listens elsewhere."""
    pod = SimpleNamespace(address="10.244.0.2", document={"spec": {"containers": [{"env": env}]}})

    assert [f"http://10.244.0.2:{port}"] == Callers([pod])._urls


def test_every_dialled_name_has_a_service_with_servers_and_a_client():
    """Each Service selects the Pods of the Deployment that is shown as its servers."""
    known = {(one["kind"], one["metadata"]["name"]): one for one in documents(dialled_names._MANIFESTS)}

    for dialled in dialled_names._DIALLED:
        service, servers = known["Service", dialled.service], known["Deployment", dialled.service]
        assert service["spec"]["selector"] == servers["spec"]["template"]["metadata"]["labels"]
        assert [dialled.port] == [port["port"] for port in service["spec"]["ports"]]
        assert ("Deployment", dialled.client) in known
