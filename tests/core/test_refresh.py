"""What a live Pod with a sidecar is given when Services change."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest

from tests.builders import catalog, container, injector, namespace, pod, port, service
from tests.core.summary import Files, parsed
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.decide import carries_sidecar
from webhook.core.errors import PodRejected
from webhook.core.pod import Pod, read_pod


def live(*services: Any, **fields: Any) -> Pod:
    """Admit a Pod beside some Services and give it as it then lives."""
    document = pod(**fields)
    outcome = injector().admit(read_pod(document, "shop"), catalog(*services), None)
    changed = jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))
    return read_pod(changed, "shop")


def carried(of: Pod) -> dict[str, str]:
    """Give the annotations that a refresh would write, as a Pod has them."""
    return {key: of.annotations[key] for key in names.REFRESHED if key in of.annotations}


def test_nothing_differs_where_nothing_changed() -> None:
    """Else every live Pod would be written to for nothing."""
    known = catalog(service("orders"))
    pod_now = live(service("orders"))

    refreshed = injector().refresh(pod_now, known)

    assert refreshed == carried(pod_now)


def test_a_service_made_after_the_pod_reaches_it() -> None:
    """The same texts that a Pod created now would get, but for the bootstrap."""
    refreshed = injector().refresh(live(), catalog(service("orders")))

    assert refreshed == carried(live(service("orders")))
    assert "orders.shop" in refreshed[names.CLUSTERS]


def test_the_bootstrap_is_left_alone() -> None:
    """Envoy reads it once: another text there would be a lie about what it runs."""
    refreshed = injector().refresh(live(), catalog(service("orders"))) or {}

    assert names.BOOTSTRAP not in refreshed


def test_a_bad_annotation_of_a_live_pod_is_its_author_s() -> None:
    """Annotations can be changed on a live Pod; a wrong one changes nothing and is told."""
    broken = live(annotations={})
    broken.document["metadata"]["annotations"][names.APP_PORT] = "many"

    with pytest.raises(PodRejected, match="app-port"):
        injector().refresh(read_pod(broken.document, "shop"), catalog(service("orders")))


def test_where_nothing_fits_there_is_nothing_to_give() -> None:
    """A Pod whose own annotations have grown since."""
    full = live()
    full.document["metadata"]["annotations"]["example.com/notes"] = "x" * (256 * 1024)

    assert injector().refresh(read_pod(full.document, "shop"), catalog(service("orders"))) is None


def test_a_pod_carries_its_sidecar_or_not() -> None:
    """Container, volume and configuration, all three."""
    complete = live()
    emptied = read_pod({**complete.document, "metadata": {"name": "front-0"}}, "shop")

    assert carries_sidecar(complete)
    assert not carries_sidecar(emptied)
    assert not carries_sidecar(read_pod(pod(), "shop"))


CAPTURE = {names.CAPTURE: "enabled"}
PUSHED = namespace("shop", annotations={names.DISCOVERY: "xds"})
BY_DNS = namespace("shop", annotations={names.DISCOVERY: "dns"})


def known(*objects: Any, trust: str = "PEM") -> Catalog:
    """Give a catalog that knows whom to trust."""
    return replace(catalog(*objects), trust=trust)


def made(*objects: Any, **fields: Any) -> Pod:
    """Admit a Pod where endpoints can be pushed, and give it as it then lives."""
    document = pod(**fields)
    outcome = injector().admit(read_pod(document, "shop"), known(*objects), None)
    changed = jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))
    return read_pod(changed, "shop")


def after(of: Pod, *objects: Any, trust: str = "PEM") -> tuple[dict[str, str], Files]:
    """Give what a live Pod is to be given now, and what its sidecar then reads."""
    new = dict(injector().refresh(of, known(*objects, trust=trust)) or {})
    return new, parsed({"metadata": {"annotations": {**of.annotations, **new}}})


def listening(files: Files) -> dict[str, str]:
    """Give where the listeners of captured names lead, and whether they look for HTTP/2."""
    found = {}
    for each in files.listeners["resources"][1:]:
        balanced = "default_filter_chain" in each
        chain = each["default_filter_chain"] if balanced else each["filter_chains"][0]
        found[each["name"]] = chain["filters"][0]["typed_config"]["cluster"] + (" balanced" if balanced else "")
    return found


ORDERS = service("orders", port(50051, "grpc"), port(5432, "db"))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ([ORDERS], {"orders.shop:5432": "orders.shop:5432", "orders.shop:50051": "orders.shop:50051 balanced"}),
        ([service("orders", port(6000, "grpc"))], {"orders.shop:6000": "orders.shop:6000 balanced"}),
        (
            [service("orders", port(7000, "grpc"), port(6000, "grpc-b"))],
            {"orders.shop:6000": "orders.shop:6000 balanced"},
        ),
        ([service(clusterIP="10.0.0.1")], {"orders.shop:50051": "orders.shop:50051 balanced"}),
        ([service(sessionAffinity="ClientIP")], {"orders.shop:50051": "orders.shop:50051/direct"}),
        ([service("orders", port(50051, "http"))], {"orders.shop:50051": "orders.shop:50051"}),
        ([], {}),
    ],
    ids=["same", "other-port", "port-that-the-pod-serves", "address", "affinity", "no-grpc", "deleted"],
)
@pytest.mark.parametrize("mode", ["dns", "xds"])
def test_a_live_capture_follows_its_service(now: Any, expected: dict[str, str], mode: str) -> None:
    """Its alias stays for life; never a port that the Pod itself serves, and never a cluster that is not there."""
    serving = container(ports=[{"containerPort": 7000}])
    before = made(ORDERS, annotations={**CAPTURE, names.DISCOVERY: mode}, containers=[serving])

    _, files = after(before, *now)

    assert listening(files) == expected
    clusters = {each["name"] for each in files.clusters["resources"]}
    assert {target.removesuffix(" balanced") for target in expected.values()} <= clusters
    hosts = {host["name"] for host in files.captures["resources"][0]["virtual_hosts"]}
    assert hosts == {"gone", *(name for name, target in expected.items() if "balanced" in target)}


def test_nothing_differs_where_a_captured_service_did_not_change() -> None:
    """In both kinds of discovery; else every such Pod would be written to for nothing."""
    for mode in ("dns", "xds"):
        before = made(ORDERS, annotations={**CAPTURE, names.DISCOVERY: mode})

        new, _ = after(before, ORDERS)

        assert new == carried(before)
        assert names.CAPTURES in new


def test_a_service_made_later_is_no_capture_of_a_live_pod() -> None:
    """Its /etc/hosts is written; by localhost it is reached all the same."""
    new, files = after(made(ORDERS, annotations=CAPTURE), ORDERS, service("users"))

    assert [*json.loads(new[names.STATUS])["captures"]] == ["orders.shop"]
    assert "users.shop" in [host["name"] for host in files.routes["resources"][0]["virtual_hosts"]]


def test_a_pod_that_captured_nothing_never_gets_the_file() -> None:
    """Its volume does not project it; whatever its namespace says since."""
    new, _ = after(made(ORDERS), ORDERS, namespace("shop", annotations=CAPTURE))

    assert names.CAPTURES not in new


def test_whom_a_live_pod_trusts_follows_the_ca_and_stays_while_nobody_knows() -> None:
    """A moment without knowledge writes to no Pod."""
    before = made(ORDERS, PUSHED)

    unknown, _ = after(before, ORDERS, PUSHED, trust="")
    changed, files = after(before, ORDERS, PUSHED, trust="NEW")

    assert unknown == {key: text for key, text in carried(before).items() if key != names.TRUST}
    assert {key for key, text in changed.items() if before.annotations[key] != text} == {names.TRUST}
    assert "NEW" in str(files.trust)


def test_a_namespace_that_goes_back_to_dns_takes_its_live_pods_along() -> None:
    """And forth again: the token is there. What was captured is still balanced, at the Service's own address."""
    users = service("users", clusterIP="10.0.0.1")
    before = made(users, PUSHED, annotations=CAPTURE)

    new, files = after(before, users, BY_DNS)
    again, _ = after(before, users, PUSHED)

    assert "EDS" not in new[names.CLUSTERS]
    assert "discovery" not in json.loads(new[names.STATUS])
    assert names.TRUST not in new
    assert listening(files) == {"users.shop:50051": "users.shop:50051 balanced"}
    assert again == carried(before)


def test_a_live_pod_without_a_token_stays_with_dns() -> None:
    """Until it is made anew."""
    before = made(ORDERS)

    new, _ = after(before, ORDERS, PUSHED)

    assert new == carried(before)


def test_another_server_is_no_matter_for_live_pods() -> None:
    """Where they ask stands in their bootstrap."""
    new, _ = after(made(ORDERS, PUSHED), ORDERS, PUSHED)

    assert {names.BOOTSTRAP, names.IDENTITY} & new.keys() == set()
