"""Live Pods, their owners, and what they ask of the DNS."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders
from tests.check import world
from tests.check.api import Json
from webhook.check.judge_dns import cached_seconds, judge_dns
from webhook.check.judge_pods import judge_bare, judge_envoy, judge_up_to_date
from webhook.check.model import Result, failed
from webhook.check.owners import Owner, by_owner, owner_of
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.model import SidecarSettings

SETTINGS = SidecarSettings()
LABELLED = builders.namespace(labels={names.INJECT: names.ENABLED})
ORDERS = builders.service("orders")


def made_by(kind: str, name: str, *, pod: str = "x", **labels: str) -> Json:
    """Make a Pod with a controller."""
    document = builders.pod(labels=labels)
    document["metadata"] |= {"name": pod, "ownerReferences": [{"kind": kind, "name": name, "controller": True}]}
    return document


@pytest.mark.parametrize(
    ("pod", "owner", "restart"),
    [
        (
            made_by("ReplicaSet", "web-6d4b", **{"pod-template-hash": "6d4b"}),
            "Deployment shop/web",
            "kubectl rollout restart -n shop deployment/web",
        ),
        (made_by("ReplicaSet", "web-6d4b"), "ReplicaSet shop/web-6d4b", "have ReplicaSet shop/web-6d4b make"),
        (made_by("StatefulSet", "db"), "StatefulSet shop/db", "kubectl rollout restart -n shop statefulset/db"),
        (made_by("DaemonSet", "agent"), "DaemonSet shop/agent", "kubectl rollout restart -n shop daemonset/agent"),
        (made_by("Job", "once"), "Job shop/once", "have Job shop/once make its Pods anew"),
        (builders.pod(), "Pod shop/front-0", "delete and create Pod shop/front-0 again"),
    ],
    ids=["deployment", "replica-set", "stateful-set", "daemon-set", "job", "alone"],
)
def test_the_owner_of_a_pod_and_how_to_have_it_made_again(pod: Json, owner: str, restart: str) -> None:
    """Nobody restarts Pods; workloads are restarted."""
    assert str(owner_of(pod)) == owner
    assert owner_of(pod).restart().startswith(restart)


def test_many_pods_of_one_owner_are_one_line() -> None:
    """Also a thousand of them."""
    pods = [(made_by("StatefulSet", "db", pod=f"db-{number}"), "without a sidecar") for number in range(5)]
    lines = by_owner(pods, failed, Owner.restart)

    assert [line.found for line in lines] == [
        ("StatefulSet shop/db: 5 pods (db-0, db-1, db-2 and 2 more) without a sidecar",)
    ]


@pytest.mark.parametrize(
    ("pod", "result"),
    [
        (builders.pod(), Result.FAILED),
        (world.injected(builders.pod(), ORDERS), Result.OK),
        (builders.pod(labels={names.INJECT: names.DISABLED}), Result.OK),
        (builders.pod(hostNetwork=True), Result.OK),
        (builders.pod(namespace="elsewhere"), Result.OK),
        (builders.pod(namespace="elsewhere", labels={names.INJECT: names.ENABLED}), Result.FAILED),
        ({**builders.pod(), "status": {"phase": "Succeeded"}}, Result.OK),
        ({**builders.pod(), "status": {"phase": "Pending"}}, Result.FAILED),
    ],
    ids=["bare", "injected", "opted-out", "host-network", "not-labelled", "opted-in", "ended", "pending"],
)
def test_a_pod_is_bare_where_it_would_be_injected_now(pod: Json, result: Result) -> None:
    """By the same rules as at its creation."""
    assert judge_bare([pod], builders.catalog(LABELLED, ORDERS), SETTINGS).result is result


def test_a_pod_that_leaves_is_not_looked_at() -> None:
    """It is replaced already."""
    pod = builders.pod()
    pod["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"

    assert judge_bare([pod], builders.catalog(LABELLED), SETTINGS).result is Result.OK


def test_a_sidecar_without_its_configuration_is_called_that() -> None:
    """As a copy made by kubectl debug is."""
    pod = world.injected(builders.pod(), ORDERS)
    del pod["metadata"]["annotations"][names.CLUSTERS]

    found = judge_bare([pod], builders.catalog(LABELLED), SETTINGS)

    assert found.found == ("Pod shop/front-0: lost the sidecar's configuration",)


@pytest.mark.parametrize(
    ("services", "result"),
    [
        ((ORDERS,), Result.OK),
        ((ORDERS, builders.service("db", builders.port(5432, "postgres"))), Result.OK),
        ((), Result.WARNING),
        ((ORDERS, builders.service("users")), Result.WARNING),
        ((builders.service("orders", builders.port(50052, "grpc")),), Result.WARNING),
    ],
    ids=["same", "not-grpc", "deleted", "another", "changed"],
)
def test_a_configuration_is_out_of_date_where_now_it_would_be_another(
    services: tuple[Json, ...], result: Result
) -> None:
    """Compared with what is rendered from the Services of now."""
    pod = world.injected(builders.pod(), ORDERS)

    assert judge_up_to_date([pod], builders.catalog(*services), builders.injector()).result is result


def test_the_summary_alone_makes_no_configuration_old() -> None:
    """It names the version that wrote it."""
    pod = world.injected(builders.pod(), ORDERS)
    pod["metadata"]["annotations"][names.STATUS] = "{}"

    assert judge_up_to_date([pod], builders.catalog(ORDERS), builders.injector()).result is Result.OK


@pytest.mark.parametrize(
    ("annotations", "result"),
    [({}, Result.WARNING), ({names.PROXY_IMAGE: "docker.io/envoyproxy/envoy:v1.30.0"}, Result.OK)],
    ids=["older", "asked-for"],
)
def test_an_older_envoy_is_named_unless_the_pod_asks_for_it(annotations: dict[str, str], result: Result) -> None:
    """Its author knows why."""
    pod = world.injected(builders.pod(annotations=annotations), ORDERS)
    pod["spec"]["initContainers"][0]["image"] = "docker.io/envoyproxy/envoy:v1.30.0"

    assert judge_envoy([pod], SETTINGS).result is result


def with_upstreams(count: int) -> Json:
    """Make a Pod whose sidecar knows so many upstreams."""
    upstreams = ",".join(f'"s{number}.shop:50051"' for number in range(count))
    return builders.pod(annotations={names.STATUS: f'{{"upstreams":[{upstreams}]}}'})


@pytest.mark.parametrize(
    ("pods", "upstreams", "says"),
    [
        (0, 0, "about 0.0 queries a second (sidecars: 0, upstreams: 0)"),
        (10, 1, "about 2.0 queries a second (sidecars: 10, upstreams: 10)"),
        (100, 50, "about 1,000 queries a second (sidecars: 100, upstreams: 5000)"),
        # Above ten queries a second and Pod the refresh lengthens: 100 names every 10 s.
        (100, 100, "about 1,000 queries a second (sidecars: 100, upstreams: 10000)"),
        (300, 50, "about 3,000 queries a second (sidecars: 300, upstreams: 15000); two replicas of CoreDNS"),
    ],
)
def test_dns_queries_are_estimated(pods: int, upstreams: int, says: str) -> None:
    """One a name and refresh, of each sidecar."""
    found = judge_dns([with_upstreams(upstreams)] * pods, SETTINGS)

    assert found.found[0].startswith(says)
    assert (found.result is Result.WARNING) is ("CoreDNS" in says)


@pytest.mark.parametrize("status", ["", "no JSON", "[]", '{"upstreams":3}', "{}"])
def test_a_summary_that_somebody_garbled_counts_as_none(status: str) -> None:
    """The estimate goes on."""
    pod = builders.pod(annotations={names.STATUS: status})

    assert judge_dns([pod], SETTINGS).found == ("about 0.0 queries a second (sidecars: 1, upstreams: 0)",)


@pytest.mark.parametrize(
    ("corefile", "seconds"),
    [
        ("kubernetes cluster.local {\n  ttl 30\n}\ncache 30\n", 30),
        ("kubernetes cluster.local {\n}\ncache 30\n", 5),
        ("kubernetes cluster.local {\n  ttl 30\n}\ncache 10 {\n}\n", 10),
        ("kubernetes cluster.local {\n  ttl 60\n}\ncache\n", 60),
        ("kubernetes cluster.local {\n  ttl 30\n}\n", 0),
        ("kubernetes cluster.local {\n  ttl 30\n}\ncache 30 {\n  disable success cluster.local\n}\n", 0),
        ("kubernetes cluster.local {\n  ttl 30\n}\ncache 30 {\n  success 9984 5\n}\n", 5),
    ],
    ids=["usual", "no-ttl", "shorter", "no-number", "no-cache", "switched-off", "success"],
)
def test_how_long_coredns_repeats_an_answer(corefile: str, seconds: int) -> None:
    """The shorter of an answer's life and the cache's bound."""
    assert cached_seconds(corefile) == seconds


def test_a_document_that_is_no_pod_is_passed_over() -> None:
    """The API server checks shapes; a strange one stops nothing."""
    strange: dict[str, Any] = {"metadata": {"name": "x", "namespace": "shop"}, "spec": {}}

    assert judge_bare([strange], Catalog(), SETTINGS).found == ("0 looked at",)
