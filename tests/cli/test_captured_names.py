"""`evenkeel explain` of captured names, pushed endpoints and Pods without a sidecar."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from typing import Any

import jsonpatch
import pytest
import yaml

from tests import builders
from tests.builders import port, service
from tests.cli.kit import POD, Shell
from tests.core.cases import Case, injected, injector_of, run
from tests.core.summary import parsed
from webhook.cli.explain import from_files, load_engine
from webhook.cli.explain_text import as_text
from webhook.cli.explanation import Engine, Subject, explain
from webhook.cli.report import Report
from webhook.core import names
from webhook.core.model import Namespace, SidecarSettings
from webhook.core.pod import read_pod

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CONFIGURATION = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "evenkeel"},
    "webhooks": [
        {"name": "inject.evenkeel.dev", "clientConfig": {"caBundle": b64encode(PEM.encode()).decode()}},
    ],
}
SERVICES = (
    service("orders", port(8000, "grpc", targetPort=8080), port(5432, "db")),
    service("users", clusterIP="10.0.0.7"),
    service("dns", port(53, "grpc"), port(53, "udp", protocol="UDP")),
    service("quiet", annotations={names.CAPTURE: "disabled"}),
)


def space(**annotations: str) -> Any:
    """Make the namespace, labelled, with words of its own."""
    words = {f"{names.DOMAIN}/{key}": text for key, text in annotations.items()}
    return builders.namespace("shop", labels={names.INJECT: names.ENABLED}, annotations=words)


def explained(shell: Shell, *objects: Any) -> dict[str, Any]:
    """Explain the one workload of some manifests."""
    file = shell.folder / shell.write("all.yaml", yaml.safe_dump_all([*objects, yaml.safe_load(POD)]))
    [found] = from_files([str(file)], (), None, None, Report())
    return explain(found, load_engine(None, None))


def told(found: dict[str, Any], title: str) -> list[str]:
    """Give the lines under a title of the text, or the line that begins with it."""
    lines = as_text(found).splitlines()
    at = next((at for at, line in enumerate(lines) if line.startswith(title)), len(lines))
    end = next((end for end, line in enumerate(lines[at:], at) if not line), len(lines))
    return [line.strip() for line in lines[at:end]]


def test_where_names_are_captured_by_dns(shell: Shell) -> None:
    """Address, ports, where they go; and each name that is left alone with its reason."""
    found = explained(shell, space(capture="enabled"), *SERVICES)
    [orders] = found["captures"]["names"]
    address = orders["address"]

    assert (orders["service"], orders["names"][:2]) == ("orders.shop", ["orders", "orders.shop"])
    assert orders["ports"] == [
        {"port": 5432, "upstream": "orders.shop:5432", "balanced": False},
        {"port": 8000, "upstream": "orders.shop:8080", "balanced": True},
        {"port": 8080, "upstream": "orders.shop:8080", "balanced": True},
    ]
    assert told(found, "names captured") == [
        "names captured",
        f"orders[.shop[.svc[.cluster.local]]]  {address}  5432  orders.shop:5432, passed through",
        f"{'':35}  {'':{len(address)}}  8000  orders.shop:8080, balanced".strip(),
        f"{'':35}  {'':{len(address)}}  8080  orders.shop:8080, balanced".strip(),
    ]
    assert told(found, "names not captured") == [
        "names not captured",
        "users.shop  it is not headless: that takes evenkeel.dev/discovery: xds",
        "dns.shop    it has a port that is not TCP (UDP)",
        "quiet.shop  annotation evenkeel.dev/capture=disabled of the Service says so",
    ]
    assert told(found, "no upstream") == [
        "no upstream",
        "users.shop  it is not headless; with evenkeel.dev/discovery: xds it takes part",
    ]
    assert (told(found, "endpoints"), found["discovery"]["mode"]) == ([], "dns")


def test_where_endpoints_are_pushed_services_with_an_address_take_part(shell: Shell) -> None:
    """Routes, captures and the words of whoever said so."""
    found = explained(shell, space(capture="enabled", discovery="xds"), CONFIGURATION, *SERVICES)

    assert [each["service"] for each in found["captures"]["names"]] == ["orders.shop", "users.shop"]
    assert "users.shop" in [each["service"] for each in found["routes"]["authorities"]]
    assert found["leftOut"] == []
    assert told(found, "endpoints") == [
        (
            "endpoints: pushed by evenkeel xds, by DNS where it does not answer: annotation evenkeel.dev/discovery of "
            "namespace shop says so"
        )
    ]


def test_without_a_ca_to_trust_it_is_said_why_endpoints_come_by_dns(shell: Shell) -> None:
    """Also as a warning, as an admission would give it."""
    found = explained(shell, space(discovery="xds"), *SERVICES)
    why = "it is not known which CA signs the certificate of evenkeel xds"

    assert found["discovery"] == {
        "mode": "dns",
        "said": "annotation evenkeel.dev/discovery of namespace shop",
        "against": why,
    }
    assert told(found, "endpoints: by DNS") == [
        f"endpoints: by DNS, though annotation evenkeel.dev/discovery of namespace shop asks for more: {why}"
    ]
    assert [why in warning for warning in found["warnings"]] == [True]


@pytest.mark.parametrize(
    ("own", "wide", "expected"),
    [("disabled", "enabled", []), (None, None, []), ("enabled", "disabled", ["quiet.shop"])],
)
def test_who_asks_for_no_capture_hears_nothing_of_it(
    own: str | None, wide: str | None, expected: list[str], shell: Shell
) -> None:
    """The Pod's word goes before its Namespace's."""
    document = yaml.safe_load(POD)
    document["metadata"]["annotations"] = {names.CAPTURE: own} if own else {}
    words = {"capture": wide} if wide else {}
    file = shell.folder / shell.write("all.yaml", yaml.safe_dump_all([space(**words), SERVICES[3], document]))
    [found] = from_files([str(file)], (), None, None, Report())

    assert [each["service"] for each in explain(found, load_engine(None, None))["captures"]["left"]] == expected


def live(*around: Any, **words: str) -> Any:
    """Make a live pod, injected beside these objects."""
    document = builders.pod(annotations={f"{names.DOMAIN}/{key}": text for key, text in words.items()})
    catalog = builders.catalog(CONFIGURATION, *around)
    outcome = builders.injector().admit(read_pod(document, "shop"), catalog, None)
    return jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))


def of_live(document: Any, *around: Any) -> dict[str, Any]:
    """Explain a live pod beside what there is now."""
    subject = Subject(
        kind="Pod",
        name="front-0",
        namespace=Namespace("shop", {names.INJECT: names.ENABLED}),
        known=True,
        document=document,
        pod=read_pod(document, "shop"),
        catalog=builders.catalog(CONFIGURATION, *around),
        services=around,
        pods=[document],
    )
    return explain(subject, Engine(builders.injector(), SidecarSettings()))


def test_a_live_pod_captures_what_it_did_when_it_was_made() -> None:
    """And its row says so; a Service that came later is not captured, and why; one that is gone has no listener."""
    document = live(SERVICES[0], service("gone"), capture="enabled", discovery="xds")

    found = of_live(document, SERVICES[0], service("late"))

    assert [(each["service"], len(each["ports"])) for each in found["captures"]["names"]] == [
        ("gone.shop", 0),
        ("orders.shop", 3),
    ]
    assert found["captures"]["left"] == [
        {
            "service": "late.shop",
            "why": "the pod was created before somebody asked for it, and aliases are for life; make it anew",
        }
    ]
    [pod] = found["pods"]
    assert (list(pod["captures"]), pod["discovery"], pod["mode"]) == (["gone.shop", "orders.shop"], "xds", "sidecar")
    assert "nobody listens: the Service is gone" in as_text(found)
    assert ", captures gone.shop, orders.shop, endpoints pushed" in as_text(found)


def test_a_live_pod_without_a_token_stays_with_dns() -> None:
    """Until it is made anew."""
    document = live(SERVICES[0])
    document["metadata"]["annotations"][names.DISCOVERY] = "xds"

    found = of_live(document, SERVICES[0])

    assert "the pod was created without a token" in found["discovery"]["against"]


def test_a_proxyless_workload_gets_no_sidecar(shell: Shell) -> None:
    """It is neither bare nor routed; without a CA it stays as it is."""
    document = yaml.safe_load(POD)
    document["metadata"]["annotations"] = {names.MODE: "proxyless"}
    texts = [space(), CONFIGURATION, document]
    file = shell.folder / shell.write("all.yaml", yaml.safe_dump_all(texts))
    [subject] = from_files([str(file)], (), None, None, Report())

    found = explain(subject, load_engine(None, None))

    assert (found["answer"], found["routes"], found["captures"]) == ("proxyless", None, None)
    assert as_text(found).splitlines() == [
        (
            "Pod shop/web: gets no sidecar: annotation evenkeel.dev/mode=proxyless: its gRPC libraries ask "
            "evenkeel xds themselves"
        )
    ]


def test_a_live_proxyless_pod_has_what_it_needs() -> None:
    """A new CA that it has not yet is a difference."""
    document = live(mode="proxyless")
    fresh, stale = of_live(document), copy.deepcopy(document)
    stale["metadata"]["annotations"][names.TRUST] = "another"

    assert fresh["answer"] == "proxyless"
    assert as_text(fresh).startswith("Pod shop/front-0: has what its gRPC libraries need, up to date")
    assert of_live(stale)["carries"]["state"] == "out-of-date"
    assert [pod["mode"] for pod in fresh["pods"]] == ["proxyless"]


@pytest.mark.parametrize("case", injected(), ids=lambda case: case.name)
def test_the_captures_told_are_the_listeners_that_envoy_gets(case: Case) -> None:
    """Addresses and ports, balanced or not: from two different readings."""
    subject = Subject(
        kind="Pod",
        name="x",
        namespace=case.namespace or Namespace(case.namespace_name, {names.INJECT: names.ENABLED}),
        known=True,
        document={"apiVersion": "v1", "kind": "Pod", **case.template.document},
        pod=case.pod,
        catalog=case.catalog,
        services=(),
    )
    told = explain(subject, Engine(injector_of(case), case.settings))["captures"]["names"]
    listeners = parsed(run(case).patched).listeners["resources"]
    addresses = [each["address"]["socket_address"] for each in listeners]

    assert [(one["address"], port["port"], port["balanced"]) for one in told for port in one["ports"]] == [
        (address["address"], address["port_value"], "default_filter_chain" in listener)
        for address, listener in zip(addresses, listeners, strict=True)
        if address["address"].startswith("127.") and address["address"] != "127.0.0.1"
    ]
