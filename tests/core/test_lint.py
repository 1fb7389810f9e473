"""What whoever applies something hears: each kind of mistake once, and nothing of what is fine."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders, golden
from tests.builders import catalog, container, namespace, port, service
from tests.core import strategies
from tests.core.cases import cases, injector_of
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.errors import NotAPod
from webhook.core.lint import lint
from webhook.core.lint_service import why_no_upstream
from webhook.core.model import DiscoveryMode, Namespace, SidecarSettings

INJECTOR = builders.injector()
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/*.yaml"))
SELECTED = Namespace("shop", {names.INJECT: names.ENABLED})
EMPTY = catalog()


def heard(document: Any, *objects: Any) -> list[str]:
    """Give the warnings beside some objects; the document stays as it was."""
    before = copy.deepcopy(document)
    found = lint(document, catalog(*objects), INJECTOR, SELECTED)
    assert document == before
    return list(found)


def deployment(*, labels: Any = None, annotations: Any = None, metadata: Any = None, **spec: Any) -> Any:
    """Make a Deployment; labels and annotations are its pods'."""
    template = {
        "metadata": {"labels": {"app": "web", **(labels or {})}, "annotations": annotations or {}},
        "spec": {"containers": [container()], **spec},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", **(metadata or {})},
        "spec": {"template": template},
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_is_said_of_the_examples(path: Path) -> None:
    """They are as they should be."""
    folder = [each for file in sorted(path.parent.glob("*.yaml")) for each in golden.read_all(file)]
    known = builders.catalog(*folder, default_namespace="hoge")

    said = [lint(each, known, INJECTOR, Namespace("hoge")) for each in golden.read_all(path)]

    assert [] == [text for texts in said for text in texts]


@pytest.mark.parametrize("case", [one for one in cases() if (one.folder / "pod.yaml").exists()], ids=lambda c: c.name)
def test_a_pod_hears_what_its_admission_would_say(case: Any) -> None:
    """Every warning and every problem of the golden cases, so that none is lost on the way."""
    document = golden.read(case.folder / "pod.yaml")
    expected = [*_written(case, "warnings"), *_written(case, "rejection")]

    found = lint(document, case.catalog, injector_of(case), case.namespace)

    for text in expected:
        assert any(text in each for each in found), text


def _written(case: Any, name: str) -> list[str]:
    path = case.folder / f"expected.{name}.yaml"
    written = golden.read(path) if path.exists() else []
    return list(written["problems"] if isinstance(written, dict) else written)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            deployment(annotations={"evenkeel.dev/upstream-s": "orders"}),
            "unknown annotation 'evenkeel.dev/upstream-s'; did you mean evenkeel.dev/upstreams?",
            id="a typo",
        ),
        pytest.param(
            deployment(annotations={names.APP_PORT: "http"}),
            "pods of this would be refused: annotation evenkeel.dev/app-port: found 'http'; "
            "accepted: a port number from 1 to 65535",
            id="a bad value",
        ),
        pytest.param(
            deployment(labels={names.INJECT: "true"}),
            "label evenkeel.dev/inject: found 'true', treated as not set; accepted: enabled, disabled",
            id="another value of the label",
        ),
        pytest.param(
            deployment(annotations={names.INJECT: "enabled"}),
            "annotation evenkeel.dev/inject is ignored: it is a label",
            id="the label as an annotation",
        ),
        pytest.param(
            deployment(annotations={names.UPSTREAMS: "users"}),
            "annotation evenkeel.dev/upstreams: users is no upstream that this namespace sees (yet)",
            id="an upstream that nobody answers",
        ),
        pytest.param(
            deployment(annotations={names.DEFAULT_UPSTREAM: "users"}),
            "annotation evenkeel.dev/default-upstream: users is no upstream of this pod (yet)",
            id="a default that nobody answers",
        ),
        pytest.param(
            deployment(hostNetwork=True),
            "its pods get no sidecar (host-network): spec.hostNetwork is true: the sidecar's ports would be the "
            "node's; if that is meant, label the pods evenkeel.dev/inject=disabled",
            id="host network",
        ),
        pytest.param(
            deployment(containers=[container(ports=[{"containerPort": 9001}])]),
            "its pods get no sidecar (port-conflict): container 'app' declares port 9001, which the sidecar binds; "
            "let it listen elsewhere, or move the sidecar's port in the settings",
            id="a port clash",
        ),
        pytest.param(
            deployment(labels={"sidecar.istio.io/inject": "true"}),
            "its pods get no sidecar (other-mesh): label sidecar.istio.io/inject=true asks for Istio's proxy; two "
            "proxies do not share a pod: choose one; if that is meant, label the pods evenkeel.dev/inject=disabled",
            id="another mesh",
        ),
        pytest.param(
            deployment(containers=[container(env=[{"name": "http_proxy", "value": "http://proxy"}])]),
            "container 'app' sets http_proxy: gRPC would dial localhost through it; "
            "add localhost,127.0.0.1 to no_proxy",
            id="a proxy without exception",
        ),
        pytest.param(
            deployment(metadata={"annotations": {names.UPSTREAMS: "orders"}}),
            "annotation evenkeel.dev/upstreams on the Deployment itself is ignored: "
            "it belongs into spec.template.metadata.annotations",
            id="an annotation of the pods on the workload",
        ),
        pytest.param(
            deployment(metadata={"labels": {names.INJECT: "disabled"}}),
            "label evenkeel.dev/inject on the Deployment itself is ignored: "
            "it belongs into spec.template.metadata.labels",
            id="the label on the workload",
        ),
        pytest.param(
            deployment(metadata={"annotations": {names.INJECT: "disabled"}}),
            "annotation evenkeel.dev/inject on the Deployment itself is ignored: "
            "it belongs into spec.template.metadata.labels, as a label",
            id="the label as an annotation on the workload",
        ),
        pytest.param(
            deployment(metadata={"labels": {names.APP_PORT: "8080"}}),
            "label evenkeel.dev/app-port on the Deployment itself is ignored: "
            "it belongs into spec.template.metadata.annotations, as an annotation",
            id="an annotation as a label on the workload",
        ),
        pytest.param(
            deployment(metadata={"annotations": {names.EXPORT_TO: "*"}}),
            "annotation evenkeel.dev/export-to on the Deployment itself is ignored: it is an annotation of Services",
            id="a Service's annotation on the workload",
        ),
        pytest.param(
            deployment(metadata={"labels": {names.ENFORCE: "enabled"}}),
            "label evenkeel.dev/enforce on the Deployment itself is ignored: it is a label of Namespaces",
            id="a Namespace's label on the workload",
        ),
        pytest.param(
            deployment(metadata={"annotations": {"evenkeel.dev/upstraems": "x"}}),
            "unknown annotation 'evenkeel.dev/upstraems'; did you mean evenkeel.dev/upstreams?; "
            "found on the Deployment itself, keys of pods belong into spec.template.metadata",
            id="a typo on the workload",
        ),
        pytest.param(
            deployment(metadata={"labels": {"evenkeel.io/injct": "x"}}),
            "unknown label 'evenkeel.io/injct'; did you mean evenkeel.dev/inject?; "
            "found on the Deployment itself, keys of pods belong into spec.template.metadata",
            id="a typo in a label on the workload",
        ),
    ],
)
def test_a_mistake_in_a_workload_is_told(document: Any, expected: str) -> None:
    """In one sentence, and nothing else is."""
    assert [expected] == heard(document, service("orders"))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(deployment(), id="a plain one"),
        pytest.param(deployment(labels={names.INJECT: "disabled"}, hostNetwork=True), id="opted out"),
        pytest.param(deployment(annotations={names.UPSTREAMS: "orders", names.ACCESS_LOG: "disabled"}), id="in use"),
        pytest.param(
            deployment(labels={names.INJECT: "enabled"}, metadata={"labels": {names.INJECT: "enabled"}}),
            id="common labels",
        ),
        pytest.param(
            deployment(annotations={names.APP_PORT: "80"}, metadata={"annotations": {names.APP_PORT: "80"}}),
            id="common annotations",
        ),
        pytest.param(deployment(metadata={"annotations": {names.STATUS: "{}"}}), id="ours on the workload"),
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, id="another kind"),
    ],
)
def test_nothing_is_said_of_what_is_fine(document: Any) -> None:
    """Neither of what is meant so."""
    assert [] == heard(document, service("orders"))


def test_a_cron_job_has_two_places_above_its_pods() -> None:
    """Both are looked at, and the right one is named."""
    inner = deployment()["spec"]
    metadata = {"annotations": {names.APP_PORT: "80"}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "web", "namespace": "shop", **metadata},
        "spec": {"jobTemplate": {"metadata": metadata, "spec": inner}},
    }

    assert [
        f"annotation evenkeel.dev/app-port on {place} is ignored: "
        "it belongs into spec.jobTemplate.spec.template.metadata.annotations"
        for place in ("the CronJob itself", "spec.jobTemplate.metadata")
    ] == heard(job)


def test_every_problem_and_every_warning_come_together() -> None:
    """In the order: above the pods, what refuses them, what is odd."""
    found = heard(
        deployment(
            annotations={names.APP_PORT: "0", names.PROXY_IMAGE: "envoy", "evenkeel.dev/x": ""},
            metadata={"annotations": {names.UPSTREAMS: "a"}},
        )
    )

    assert ["annotation", "pods of this would be refused", "pods of this would be refused", "unknown annotation"] == [
        next(
            start
            for start in ("annotation", "pods of this would be refused", "unknown annotation")
            if text.startswith(start)
        )
        for text in found
    ]


def test_a_template_that_is_no_pod_says_where() -> None:
    """It raises: the API server has refused such an object before it asks."""
    with pytest.raises(NotAPod, match="containers: found none"):
        heard(deployment(containers=[]))


def unnamed(name: str = "orders", *ports: Any, annotations: Any = None, **spec: Any) -> Any:
    """Make a Service with a cluster address."""
    return service(name, *ports, annotations=annotations, **{"clusterIP": "10.0.0.1", **spec})


NOT_HEADLESS = (
    "port 'grpc' looks like gRPC, but the Service is not headless: a client's calls all go to one pod; "
    "make it anew with clusterIP: None, or set annotation evenkeel.dev/discovery=xds on the Namespace, or set "
    "annotation evenkeel.dev/upstream=disabled"
)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            service(annotations={names.RETRY: "allways"}),
            "annotation evenkeel.dev/retry: found 'allways', left out; accepted: default, safe, idempotent, off",
            id="a bad value",
        ),
        pytest.param(
            service(annotations={"evenkeel.dev/grpc-service": "a.B"}),
            "unknown annotation 'evenkeel.dev/grpc-service'; did you mean evenkeel.dev/grpc-services?",
            id="a typo",
        ),
        pytest.param(unnamed(), NOT_HEADLESS, id="not headless"),
        pytest.param(
            unnamed("orders", port(80, "api", appProtocol="grpc")),
            NOT_HEADLESS.replace("'grpc'", "'api'"),
            id="not headless, by appProtocol",
        ),
        pytest.param(
            unnamed(annotations={names.UPSTREAM: "enabled"}),
            "annotation evenkeel.dev/upstream has no effect while endpoints come by DNS: the Service is not headless; "
            "make it anew with clusterIP: None, or set annotation evenkeel.dev/discovery=xds on the Namespace",
            id="not headless, by annotation",
        ),
        pytest.param(
            unnamed("orders", port(80, "http"), annotations={names.RETRY: "safe"}),
            "annotation evenkeel.dev/retry has no effect: the Service has no upstream",
            id="an annotation without effect",
        ),
        pytest.param(
            service("orders", port(80, "http"), annotations={names.HEALTH_CHECK: "grpc"}),
            "annotation evenkeel.dev/health-check has no effect: the Service has no upstream",
            id="a health check without effect",
        ),
        pytest.param(
            service("orders", port(80, "http"), annotations={names.CAPTURE: "enabled"}),
            "annotation evenkeel.dev/capture has no effect: the Service has no upstream",
            id="captured without an upstream",
        ),
        pytest.param(
            service("orders", port(80, "grpc"), port(81, "b", protocol="UDP"), annotations={names.CAPTURE: "enabled"}),
            "annotation evenkeel.dev/capture=enabled has no effect: it has a port that is not TCP (UDP)",
            id="captured with a UDP port",
        ),
        pytest.param(
            service(annotations={names.CAPTURE: "enabled"}, sessionAffinity="ClientIP"),
            "annotation evenkeel.dev/capture=enabled has no effect: its sessionAffinity keeps a client with one pod",
            id="captured with session affinity",
        ),
        pytest.param(
            unnamed(type="LoadBalancer", annotations={names.CAPTURE: "enabled"}),
            "annotation evenkeel.dev/capture=enabled has no effect: it is not headless; set annotation "
            "evenkeel.dev/discovery=xds on the Namespace",
            id="captured behind an address",
        ),
        pytest.param(
            service("orders", port(80, "api")),
            "port 'api' is no upstream: neither its name nor an appProtocol says gRPC; set appProtocol: grpc, or set "
            "annotation evenkeel.dev/upstream=disabled if it speaks something else",
            id="not declared",
        ),
        pytest.param(
            service("orders", port(80, "orders-grpc"), port(81, "grpc")),
            "port 'orders-grpc' is no upstream: its name does not begin with grpc-; set appProtocol: grpc, or set "
            "annotation evenkeel.dev/upstream to the ports that are gRPC",
            id="nearly declared by name",
        ),
        pytest.param(
            service("orders", port(80, "api", appProtocol="h2c")),
            "port 'api' is no upstream: appProtocol 'h2c' is none of grpc, kubernetes.io/h2c; set appProtocol: grpc, "
            "or set annotation evenkeel.dev/upstream=disabled if it speaks something else",
            id="nearly declared by appProtocol",
        ),
        pytest.param(
            service("orders", port(80, "grpc"), port(81, "b"), annotations={names.UPSTREAM: "grpc, c"}),
            "annotation evenkeel.dev/upstream: no port 'c'; it has grpc, b",
            id="a port that is not there",
        ),
        pytest.param(
            service("orders", *(port(number) for number in range(1, 601))),
            "600 of its ports are upstreams, more than fit beside others into a pod's annotations; choose with "
            "annotation evenkeel.dev/upstream",
            id="600 ports",
        ),
        pytest.param(
            service("orders", port(53, "grpc", protocol="UDP"), port(80, "http")),
            "spec.ports[0]: protocol 'UDP' carries no gRPC, left out",
            id="over UDP",
        ),
        pytest.param(
            {**service(), "metadata": {"name": "orders", "namespace": "shop", "labels": {names.EXPORT_TO: "x"}}},
            "label evenkeel.dev/export-to is ignored: it is an annotation",
            id="an annotation as a label",
        ),
    ],
)
def test_a_mistake_in_a_service_is_told(document: Any, expected: str) -> None:
    """In one sentence, and nothing else is; also where the catalog has it already."""
    assert [expected] == heard(document)
    assert [expected] == heard(document, document)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(service(), id="declared"),
        pytest.param(service("orders", port(80)), id="unnamed"),
        pytest.param(service("orders", port(80, "grpc", targetPort="api")), id="new, with a named target port"),
        pytest.param(
            service("a", port(1, "grpc", targetPort="api"), annotations={names.GRPC_SERVICES: "a.B"}), id="paths of it"
        ),
        pytest.param(service("db", port(5432, "postgres"), port(9187, "http-metrics")), id="another protocol"),
        pytest.param(service("db", port(80, "api", appProtocol="https")), id="another appProtocol"),
        pytest.param(service("db", port(80, "api"), annotations={names.UPSTREAM: "disabled"}), id="said not to be"),
        pytest.param(service("web", port(80, "grpc-web")), id="grpc-web"),
        pytest.param(unnamed("orders", port(80, "http")), id="an address for HTTP"),
        pytest.param(unnamed(annotations={names.UPSTREAM: "disabled"}), id="an address for gRPC, meant so"),
        pytest.param(unnamed(type="LoadBalancer"), id="reached from outside"),
        pytest.param({**service(), "spec": {"type": "ExternalName", "externalName": "a.b"}}, id="external"),
        pytest.param(service("orders", port(80, "grpc"), port(81, "api")), id="a port beside gRPC"),
        pytest.param(service(annotations={names.CAPTURE: "enabled", names.HEALTH_CHECK: "grpc"}), id="captured"),
        pytest.param(
            service("db", port(80, "http"), annotations={names.CAPTURE: "disabled", names.UPSTREAM: "disabled"}),
            id="not captured, meant so",
        ),
    ],
)
def test_nothing_is_said_of_a_service_that_is_fine(document: Any) -> None:
    """Neither of one that is meant so."""
    assert [] == heard(document)


def test_an_address_beside_a_headless_twin_is_fine() -> None:
    """One for old clients, one for balancing; with other pods behind it, it is not."""
    twin = service("orders-pods", selector={"app": "orders"})

    assert [] == heard(unnamed(), twin)
    assert [NOT_HEADLESS] == heard(unnamed(), service("users"))
    assert [NOT_HEADLESS] == heard(unnamed(selector=None), service("users", selector=None))


PUSHED = builders.namespace("shop", annotations={names.DISCOVERY: "xds"})


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (unnamed(), []),
        (unnamed(annotations={names.UPSTREAM: "enabled"}), []),
        (unnamed("orders", port(80, "api", targetPort="grpc"), annotations={names.UPSTREAM: "api"}), []),
        (unnamed(annotations={names.CAPTURE: "enabled", names.RETRY: "safe", names.HEALTH_CHECK: "grpc"}), []),
        (
            unnamed(annotations={names.CAPTURE: "enabled"}, internalTrafficPolicy="Local"),
            [
                "port 'grpc' looks like gRPC, but",
                "annotation evenkeel.dev/capture has no effect: the Service has no upstream",
            ],
        ),
        (
            unnamed(annotations={names.CAPTURE: "enabled"}, sessionAffinity="ClientIP"),
            ["annotation evenkeel.dev/capture=enabled has no effect: its sessionAffinity keeps a client with one pod"],
        ),
    ],
)
def test_where_endpoints_are_pushed_a_service_need_not_be_headless(document: Any, expected: list[str]) -> None:
    """By the Namespace's word; its annotations have their effect."""
    found = heard(document, PUSHED)

    assert [text[: len(start)] for text, start in zip(found, expected, strict=True)] == expected


def test_where_the_operator_has_endpoints_pushed_the_namespace_can_say_no() -> None:
    """The setting counts where the Namespace says nothing."""
    judge = builders.injector(SidecarSettings(discovery=DiscoveryMode.XDS))
    by_dns = builders.namespace("shop", annotations={names.DISCOVERY: "dns"})

    assert lint(unnamed(), catalog(), judge, SELECTED) == ()
    assert lint(unnamed(), catalog(by_dns), judge, SELECTED) == (NOT_HEADLESS,)


def test_names_that_are_not_captured_though_asked_for_are_told_to_the_workload() -> None:
    """With the reason, in one sentence however many there are; not those that say no themselves."""
    many = [unnamed(f"s{number}") for number in range(7)]
    quiet = service("quiet", annotations={names.CAPTURE: "disabled"})
    start = "calls to these names of Services are not captured: "
    why = "it is not headless: that takes evenkeel.dev/discovery: xds"

    assert heard(deployment(annotations={names.CAPTURE: "enabled"}), service(), quiet, unnamed("b")) == [
        f"{start}b.shop: {why}"
    ]
    [told] = heard(deployment(annotations={names.CAPTURE: "enabled"}), *many)
    assert (told.count(why), told.endswith("; and 2 more")) == (5, True)
    assert heard(deployment(), service(), quiet, *many) == []
    assert heard(deployment(annotations={names.CAPTURE: "enabled"}), service("db", port(5432))) == [
        f"{start}db.shop: none of its ports is declared gRPC: name one grpc, or set annotation evenkeel.dev/upstream"
    ]


def test_a_named_target_port_that_is_still_unknown_is_told_once_the_service_is_there() -> None:
    """A new Service has no pods yet; with the number written instead, all is well."""
    waiting = service("orders", port(80, "grpc", targetPort="api"))
    expected = (
        "port grpc is no upstream: no pod known declares its named targetPort 'api'; "
        "give a container port that name, or write the number"
    )

    assert [] == heard(waiting)
    assert [expected] == heard(waiting, waiting)
    assert [] == heard(service("orders", port(80, "grpc", targetPort=8080)), waiting)
    assert [] == heard(waiting, waiting, builders.deployment("orders", {"name": "api", "containerPort": 8080}))


CLAIM = {names.GRPC_SERVICES: "a.A, a.B"}


@pytest.mark.parametrize(
    ("ours", "theirs", "meet"),
    [
        pytest.param({}, {}, True, id="one namespace"),
        pytest.param({}, {"namespace": "store"}, False, id="two namespaces"),
        pytest.param({"export": "*"}, {"namespace": "store"}, False, id="own ones go first"),
        pytest.param({"export": "store"}, {"namespace": "store"}, False, id="own ones go first, named"),
        pytest.param({"export": "*"}, {"namespace": "store", "export": "*"}, True, id="both to everybody"),
        pytest.param({"export": "bar"}, {"namespace": "store", "export": "*"}, True, id="to everybody and to one"),
        pytest.param({"export": "*"}, {"namespace": "store", "export": "shop"}, False, id="to us"),
        pytest.param({"export": "bar"}, {"namespace": "store", "export": "bar,baz"}, True, id="to a third"),
        pytest.param({"export": "bar"}, {"namespace": "store", "export": "baz"}, False, id="to different ones"),
    ],
)
def test_a_path_that_two_claim_is_told_where_some_pods_see_both(ours: Any, theirs: Any, meet: bool) -> None:
    """With the other's name and the path."""
    mine, other = (
        service(
            name,
            namespace=each.get("namespace", "shop"),
            annotations={names.GRPC_SERVICES: paths} | ({names.EXPORT_TO: each["export"]} if "export" in each else {}),
        )
        for name, each, paths in (("orders", ours, "a.A, a.B"), ("rival", theirs, "a.B, a.C"))
    )
    expected = (
        f"annotation evenkeel.dev/grpc-services: rival.{theirs.get('namespace', 'shop')} claims a.B too; "
        "calls of that to localhost are answered UNAVAILABLE until only one does"
    )

    assert ([expected] if meet else []) == heard(mine, other)
    assert ([expected] if meet else []) == heard(mine, other, mine)


def test_a_namespace_that_is_not_there_is_told_where_all_are_known() -> None:
    """A cluster's catalog knows every Namespace; files do not."""
    exported = service(annotations={names.EXPORT_TO: "stroe, *"})
    cluster = [namespace(name) for name in ("kube-system", "shop", "store")]

    assert ["annotation evenkeel.dev/export-to: there is no namespace 'stroe' (yet); did you mean store?"] == heard(
        exported, *cluster
    )
    assert [] == heard(exported, namespace("shop"))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (unnamed(), "it is not headless (clusterIP: None)"),
        ({**service(), "spec": {"type": "ExternalName"}}, "it is an ExternalName"),
        ({**service(), "spec": None}, "it has no spec"),
        (service(annotations={names.UPSTREAM: "disabled"}), "annotation evenkeel.dev/upstream=disabled says so"),
        (
            service("orders", port(80, "grpc", targetPort="api")),
            "port grpc is no upstream: no pod known declares its named targetPort 'api'",
        ),
        (
            service("orders", port(80, "http"), port(81, "api")),
            "neither name nor appProtocol of a port says gRPC: found http, api",
        ),
        (
            service("orders", port(53, "dns", protocol="UDP")),
            "neither name nor appProtocol of a port says gRPC: found no TCP port",
        ),
    ],
)
def test_why_a_service_is_no_upstream(document: Any, why: str) -> None:
    """Also where that is how it should be."""
    known = catalog(document)

    assert not any(each.upstreams for each in known.services.values())
    assert why == why_no_upstream(document, "Service shop/orders", known.problems)


ANY = strategies.OBJECTS | strategies.broken(strategies.OBJECTS) | strategies.JSON.map(lambda json: {"spec": json})


@given(ANY, st.lists(strategies.ANYTHING, max_size=4))
@settings(max_examples=200)
def test_whatever_is_applied_gives_sentences_or_is_no_pod(document: Any, objects: Any) -> None:
    """Nothing else is raised; nothing is said twice; the same again gives the same."""
    known = catalog(*objects)
    try:
        found = lint(document, known, INJECTOR, None)
    except NotAPod:
        return

    assert len(set(found)) == len(found)
    assert found == lint(document, known, INJECTOR, None)
    assert all(text.strip() for text in found)


def test_the_catalog_given_is_not_changed() -> None:
    """It is the one that admissions use."""
    known: Catalog = catalog(service("users"))

    lint(service("orders"), known, INJECTOR, SELECTED)

    assert ["users.shop"] == [str(each.ref) for each in known.own("shop")]
