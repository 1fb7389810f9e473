"""`evenkeel explain`: the answer first, then what it rests on; the same as what Envoy is told."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import typer
import yaml

from tests import builders
from tests.builders import endpoint_slice, namespace, port, service
from tests.cli.kit import KINDS, NAMESPACE, POD, SERVICE, Ran, Shell, workload
from tests.core.cases import Case, cases, injected, injector_of, run
from tests.core.summary import parsed
from webhook import __version__
from webhook.cli.config import Target
from webhook.cli.explain import Asked, from_files, from_reader, load_engine, run_explain, tell
from webhook.cli.explanation import Engine, Subject, explain
from webhook.cli.report import Report
from webhook.core import names
from webhook.core.errors import EvenkeelError, ManifestError, SettingsError
from webhook.core.model import Namespace, SidecarSettings
from webhook.core.pod import read_pod
from webhook.kube.errors import Forbidden, NotFound

ENGINE = Engine(builders.injector(), SidecarSettings())
LABELLED = namespace("shop", labels={names.INJECT: names.ENABLED})


class Explains:
    """Runs on manifests."""

    def __init__(self, shell: Shell, capture: pytest.CaptureFixture[bytes]) -> None:
        self.shell = shell
        self._capture = capture

    def text(self, *texts: str, target: Target | None = None, as_json: bool = False, **asked: Any) -> Ran:
        """Explain what stands in files with these texts."""
        files = [str(self.shell.folder / self.shell.write(f"{at}.yaml", text)) for at, text in enumerate(texts)]
        report = Report()
        subjects = from_files(files, asked.pop("catalog", ()), asked.pop("namespace", None), target, report)
        code = tell(subjects, ENGINE, as_json=as_json)
        out, err = self._capture.readouterr()
        return Ran(code, out.decode(), err.decode().splitlines())

    def first(self, *texts: str) -> str:
        """Give the first line."""
        return self.text(*texts).out.partition("\n")[0]


@pytest.fixture
def it(shell: Shell, capsysbinary: pytest.CaptureFixture[bytes]) -> Explains:
    """Give the command."""
    return Explains(shell, capsysbinary)


def test_the_whole_text_for_a_workload(it: Explains) -> None:
    """The answer, the routes, what is left out and why, the ingress, the warnings."""
    services = [
        service(annotations={names.GRPC_SERVICES: "shop.Orders, shop.Both", names.MAX_TIMEOUT: "5s"}),
        service("rival", port(80), annotations={names.GRPC_SERVICES: "shop.Both", names.RETRY: "off"}),
        service("hq", namespace="store", annotations={names.EXPORT_TO: "*"}),
        service("db", port(5432, "postgres")),
        service("page", port(80, "http"), clusterIP="10.0.0.1"),
        service("late", port(80, "grpc", targetPort="api")),
    ]
    texts = [NAMESPACE, POD, yaml.safe_dump_all(services)]

    assert it.text(*texts).out.splitlines() == [
        "Pod shop/web: gets a sidecar: namespace shop has label evenkeel.dev/inject=enabled",
        "",
        "calls to 127.0.0.1:9001",
        "  AUTHORITY                            PORT   GOES TO",
        "  orders[.shop[.svc[.cluster.local]]]  50051  orders.shop:50051  round_robin, retry default, at most 5s",
        "  rival[.shop[.svc[.cluster.local]]]   80     rival.shop:80      round_robin, retry off, not declared gRPC",
        "  hq.store[.svc[.cluster.local]]       50051  hq.store:50051     round_robin, retry default, exported",
        (
            "  localhost, path /shop.Both/*                nowhere            "
            "ambiguous, claimed by orders.shop and rival.shop"
        ),
        "  localhost, path /shop.Orders/*              orders.shop:50051  by annotation of the Service",
        (
            "  localhost, any other path                   orders.shop:50051  "
            "it is the only Service of the namespace that is declared gRPC and is not the pod's own"
        ),
        "",
        "no upstream",
        "  db.shop    neither name nor appProtocol of a port says gRPC: found postgres",
        "  late.shop  port grpc is no upstream: no pod known declares its named targetPort 'api'",
        "  page.shop  it is not headless (clusterIP: None)",
        "",
        "ingress: none: no Service that selects the pod targets port 15001, and evenkeel.dev/app-port is not set",
        "",
        "warnings",
        "  Service shop/late: port grpc is no upstream: no pod known declares its named targetPort 'api'",
    ]


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        ([NAMESPACE, POD], "Pod shop/web: gets a sidecar: namespace shop has label evenkeel.dev/inject=enabled"),
        (
            [POD],
            (
                "Pod shop/web: gets a sidecar: as if namespace shop had label evenkeel.dev/inject=enabled: "
                "it is not known here"
            ),
        ),
        (
            [NAMESPACE.replace("  labels: {evenkeel.dev/inject: enabled}\n", ""), POD],
            (
                "Pod shop/web: gets no sidecar (not-selected): "
                "neither namespace nor pod has label evenkeel.dev/inject=enabled"
            ),
        ),
        (
            [
                NAMESPACE.replace("  labels: {evenkeel.dev/inject: enabled}\n", ""),
                POD.replace("  name: web\n", "  name: web\n  labels: {evenkeel.dev/inject: enabled}\n", 1),
            ],
            "Pod shop/web: gets a sidecar: the pod has label evenkeel.dev/inject=enabled",
        ),
        (
            [NAMESPACE, f"{POD}  hostNetwork: true\n"],
            (
                "Pod shop/web: gets no sidecar (host-network): "
                "spec.hostNetwork is true: the sidecar's ports would be the node's"
            ),
        ),
    ],
)
def test_the_first_line_is_the_answer(texts: list[str], answer: str, it: Explains) -> None:
    """By which rule, or why not, with the code of metrics and audit."""
    ran = it.text(*texts)

    assert (answer, 0) == (ran.out.partition("\n")[0], ran.code)


def test_pods_that_would_be_refused_end_with_code_1(it: Explains) -> None:
    """All problems are listed; none stands there twice."""
    bad = "  annotations: {evenkeel.dev/app-port: a, evenkeel.dev/mode: b}\n"

    ran = it.text(NAMESPACE, POD.replace("  namespace", f"{bad}  namespace"))

    port_problem = "annotation evenkeel.dev/app-port: found 'a'; accepted: a port number from 1 to 65535"
    assert (1, f"Pod shop/web: the API server would refuse its pods: {port_problem} (and 1 more)") == (
        ran.code,
        ran.out.splitlines()[0],
    )
    assert [
        "",
        "problems",
        f"  {port_problem}",
        "  annotation evenkeel.dev/mode: found 'b'; accepted: sidecar, proxyless",
    ] == ran.out.splitlines()[1:]


def test_an_injected_manifest_shows_what_it_carries(it: Explains) -> None:
    """And what was added since."""
    injected_text = it.shell.run("inject", "-f", "-", stdin=f"{NAMESPACE}---\n{SERVICE}---\n{POD}").out

    ran = it.text(injected_text, yaml.safe_dump(service("users")))

    assert ran.out.startswith("Pod shop/web: has its sidecar, out of date; it lacks users.shop:50051\n")
    assert "calls to 127.0.0.1:9001, once it is up to date" in ran.out.splitlines()
    assert "Pod shop/web: has its sidecar, up to date" == it.first(injected_text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_asked_for(kind: str, it: Explains) -> None:
    """By name, among others; warnings are those of an apply."""
    text = yaml.safe_dump_all([workload(kind), workload(kind, "other"), workload("Pod", "third")])

    ran = it.text(text, target=Target(kind, "web"))

    assert [f"{kind} shop/web:"] == [line[: len(kind) + 10] for line in ran.out.splitlines() if "shop/" in line]


def test_all_workloads_are_explained_where_none_is_named(it: Explains) -> None:
    """One after the other, an empty line between."""
    ran = it.text(POD, POD.replace("name: web\n  n", "name: two\n  n"), SERVICE)

    assert ["Pod shop/web", "Pod shop/two"] == [line[:12] for line in ran.out.splitlines() if line.startswith("Pod")]


def test_what_is_not_there_is_told_with_what_is(it: Explains) -> None:
    """It ends with code 1 in the command."""
    with pytest.raises(ManifestError, match="found no Job nightly in the manifests; there is Pod shop/web"):
        it.text(POD, target=Target("Job", "nightly"))
    with pytest.raises(ManifestError, match="found no Pod web in the manifests"):
        it.text(POD, target=Target("Pod", "web"), namespace="other")


def test_what_is_no_pod_is_told(it: Explains) -> None:
    """It stops where all are asked for, and stands beside the one that is."""
    odd = "apiVersion: v1\nkind: Pod\nmetadata: {name: odd}\n"

    with pytest.raises(ManifestError, match="Pod default/odd: spec: found nothing, expected an object"):
        it.text(POD, odd)
    ran = it.text(POD, odd, target=Target("Pod", "web"))

    assert (0, 1) == (ran.code, len(ran.err))
    assert "Pod default/odd: spec: found nothing" in ran.err[0]


def test_services_of_a_catalog_count_and_are_no_workloads(it: Explains) -> None:
    """With the reasons for those that are no upstreams."""
    more = it.shell.folder / it.shell.write("more.yaml", f"{SERVICE}---\n{yaml.safe_dump(builders.deployment('x'))}")
    more.write_text(more.read_text().replace("clusterIP: None", "clusterIP: 10.0.0.1"))

    ran = it.text(POD, catalog=[str(more)])

    assert "  orders.shop  it is not headless; with evenkeel.dev/discovery: xds it takes part" in ran.out.splitlines()
    assert 1 == ran.out.count("gets a sidecar")


def test_texts_of_a_manifest_steer_no_terminal(it: Explains) -> None:
    """Control characters are written out."""
    ran = it.text(POD.replace("name: web\n  n", 'name: "web\\e[31m\\nx"\n  n'))

    assert ran.out.startswith("Pod shop/web\\x1b[31m\\nx: gets a sidecar")


def test_the_keys_of_the_json_are_stable(it: Explains) -> None:
    """Scripts read them."""
    ran = it.text(NAMESPACE, SERVICE, POD, as_json=True)

    [found] = json.loads(ran.out)["workloads"]
    keys = "kind namespace name answer code why problems discovery routes captures leftOut ingress warnings carries"
    assert f"{keys} pods notes" == " ".join(found)
    assert found["discovery"] == {"mode": "dns", "said": "setting sidecar.discovery", "against": ""}
    assert found["captures"] == {"names": [], "left": []}
    assert ["listener", "authorities", "paths", "localhost"] == [*found["routes"]]
    assert {"service", "names", "ports", "lbPolicy", "retry", "maxTimeout", "exported"} == set(
        found["routes"]["authorities"][0]
    )
    assert ("injected", "selected", None) == (found["answer"], found["code"], found["pods"])


def subject(case: Case) -> Subject:
    """Give the subject of a golden case."""
    template = case.template
    return Subject(
        kind=template.kind,
        name=template.name,
        namespace=case.namespace or Namespace(case.namespace_name, {names.INJECT: names.ENABLED}),
        known=True,
        document={"apiVersion": "v1", "kind": "Pod", **template.document},
        pod=case.pod,
        catalog=case.catalog,
        services=[
            each
            for each in case.objects
            if isinstance(each, dict) and each.get("kind") == "Service" and "metadata" in each
        ],
    )


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_code_is_the_one_of_the_admission(case: Case) -> None:
    """For every golden case."""
    result = run(case)
    found = explain(subject(case), Engine(injector_of(case), case.settings))

    if result.outcome is None:
        assert (found["code"], tuple(found["problems"])) == ("bad-value", result.problems)
    else:
        assert found["code"] == (result.outcome.skip.reason if result.outcome.skip else "selected")


@pytest.mark.parametrize("case", injected(), ids=lambda case: case.name)
def test_the_routes_told_are_the_routes_that_envoy_gets(case: Case) -> None:
    """Authorities, their ports, paths, and where localhost goes: from two different readings."""
    told = explain(subject(case), Engine(injector_of(case), case.settings))["routes"]
    hosts = parsed(run(case).patched)[2]["resources"][0]["virtual_hosts"]
    *local_paths, rest = next(host for host in hosts if host["name"] == "localhost")["routes"]
    own = [host for host in hosts if host["name"] not in ("localhost", "unknown", names.FORWARD_PROXY_CLUSTER)]

    assert [each["names"] for each in told["authorities"]] == [host["domains"] for host in own]
    assert [each["ports"][0]["upstream"] for each in told["authorities"]] == [_first(host) for host in own]
    assert [(f"/{each['grpcService']}/", each["upstream"]) for each in told["paths"]] == [
        (route["match"]["prefix"], _cluster(route)) for route in local_paths
    ]
    assert told["localhost"]["upstream"] == _cluster(rest)


def _cluster(route: Any) -> str | None:
    return route["route"]["cluster"] if "route" in route else None


def _first(host: Any) -> str | None:
    """Give where an authority without a port goes."""
    return next(_cluster(route) for route in host["routes"] if "invert_match" in str(route["match"]))


class FakeReader:
    """A cluster of some objects; what it is asked is written down."""

    def __init__(self, *objects: Any, forbidden: Sequence[str] = ()) -> None:
        self.objects = objects
        self.asked: list[tuple[str, str]] = []
        self._forbidden = forbidden

    async def get(self, path: str, **_: Any) -> Any:
        """Find by path."""
        self._ask(path)
        for each in self.objects:
            if path.endswith(_path(each)):
                return each
        raise NotFound("GET", path, "", status=404)

    async def list(self, path: str, *, limit: int = 500, **params: Any) -> Any:  # noqa: ARG002
        """Find by collection and by an equality selector on `app` or a job's name."""
        self._ask(path, params.get("labelSelector", ""))
        selector = params.get("labelSelector", "")
        found = [each for each in self.objects if _in(each, path) and _chosen(each, selector)]
        return type("Listing", (), {"items": found})

    def selectors(self) -> list[str]:
        """Give by which labels pods were asked for."""
        return [selector for path, selector in self.asked if path.endswith("/pods")]

    def _ask(self, path: str, selector: str = "") -> None:
        self.asked.append((path, selector))
        if path in self._forbidden:
            raise Forbidden("GET", path, "may not", status=403)


def _collection(each: Any) -> str:
    return each["kind"].lower() + "s"


def _path(each: Any) -> str:
    metadata = each["metadata"]
    if each["kind"] == "Namespace":
        return f"/namespaces/{metadata['name']}"
    return f"/namespaces/{metadata['namespace']}/{_collection(each)}/{metadata['name']}"


def _in(each: Any, path: str) -> bool:
    whole = path.endswith(f"/{_collection(each)}") and "/namespaces/" not in path
    return whole or path.endswith(f"/namespaces/{each['metadata'].get('namespace')}/{_collection(each)}")


def _chosen(each: Any, selector: str) -> bool:
    labels = each["metadata"].get("labels") or {}
    return not selector or labels.get("app") == selector.removeprefix("app=") or labels.get("job", "?") in selector


def live_pod(name: str, document: Any, *around: Any, status: Any = None, inject: bool = True) -> Any:
    """Make a running pod, injected beside these objects or bare."""
    found = {**copy.deepcopy(document), "status": status or {"phase": "Running"}}
    found["metadata"]["name"] = name
    if inject:
        outcome = ENGINE.injector.admit(read_pod(found, "shop"), builders.catalog(*around), None)
        found = jsonpatch.apply_patch(found, json.loads(json.dumps(outcome.operations)))
    return found


async def explained(reader: FakeReader, kind: str = "Deployment", name: str = "front") -> dict[str, Any]:
    """Explain a workload of a cluster."""
    [found], engine = await from_reader(reader, Target(kind, name), "shop")
    return explain(found, engine)


FRONT = builders.deployment("front")
ORDERS, USERS = service("orders"), service("users")


async def test_live_pods_are_compared_with_what_they_should_carry() -> None:
    """Up to date, out of date with the difference, bare with the reason; ended ones do not count."""
    plain = builders.pod()
    pods = [
        live_pod("a", plain, ORDERS, USERS),
        live_pod("b", plain, ORDERS, service("old")),
        live_pod("c", plain, inject=False),
        live_pod("d", builders.pod(labels={"app": "front", names.INJECT: "disabled"}), inject=False),
        live_pod("e", plain, inject=False, status={"phase": "Succeeded"}),
        live_pod("f", plain, ORDERS, {**USERS, "metadata": {**USERS["metadata"], "annotations": {names.RETRY: "off"}}}),
    ]

    found = await explained(FakeReader(FRONT, LABELLED, ORDERS, USERS, *pods))

    assert [
        ("a", "up-to-date", "", [], [], []),
        (
            "b",
            "out-of-date",
            "what it should carry now differs",
            ["users.shop:50051"],
            ["old.shop:50051"],
            ["clusters.yaml", "routes.yaml"],
        ),
        ("c", "bare", "it was made before it was selected, or while the webhook was away; make it anew", [], [], []),
        ("d", "bare", "disabled: the pod has label evenkeel.dev/inject=disabled", [], [], []),
        ("f", "out-of-date", "what it should carry now differs", [], [], ["routes.yaml"]),
    ] == [tuple(each[key] for key in ("name", "state", "why", "added", "removed", "changed")) for each in found["pods"]]


async def test_the_text_counts_and_lists_live_pods(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The first line has the numbers."""
    pods = [live_pod("a", builders.pod(), ORDERS), live_pod("b", builders.pod(), inject=False)]
    reader = FakeReader(FRONT, LABELLED, USERS, *pods)

    code = tell(*await from_reader(reader, Target("Deployment", "front"), "shop"), as_json=False)
    lines = capsysbinary.readouterr().out.decode().splitlines()

    assert code == 0
    assert lines[0] == (
        "Deployment shop/front: gets a sidecar: namespace shop has label evenkeel.dev/inject=enabled; "
        "2 pods: 1 out of date, 1 bare"
    )
    at = lines.index("pods")
    assert lines[at + 1 : at + 3] == [
        (
            f"  a  out of date  version {__version__}, upstreams orders.shop:50051; it lacks users.shop:50051; "
            "it still has orders.shop:50051"
        ),
        "  b  bare         it was made before it was selected, or while the webhook was away; make it anew",
    ]


async def test_a_live_pod_is_its_own_answer(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """What it has, and whether that is true."""
    pods = [live_pod("a", builders.pod(), ORDERS), live_pod("b", builders.pod(), inject=False)]
    for name in "ab":
        reader = FakeReader(LABELLED, ORDERS, *pods)
        tell(*await from_reader(reader, Target("Pod", name), "shop"), as_json=False)

    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert [line for line in lines if line.startswith("Pod ")] == [
        "Pod shop/a: has its sidecar, up to date",
        "Pod shop/b: has no sidecar: it was made before it was selected, or while the webhook was away; make it anew",
    ]


async def test_what_a_live_pod_does_not_let_be_written_is_stuck() -> None:
    """Its annotations were changed after it was admitted."""
    pod = live_pod("a", builders.pod(), ORDERS)
    pod["metadata"]["annotations"][names.UPSTREAMS] = "?"

    found = await explained(FakeReader(FRONT, LABELLED, ORDERS, pod))

    assert [("stuck", True)] == [(each["state"], names.UPSTREAMS in each["why"]) for each in found["pods"]]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"upstreams":7}'])
async def test_a_status_that_cannot_be_read_is_an_empty_one(text: str) -> None:
    """Somebody wrote it."""
    pod = live_pod("a", builders.pod(), ORDERS)
    pod["metadata"]["annotations"][names.STATUS] = text

    found = await explained(FakeReader(FRONT, LABELLED, ORDERS, pod))

    assert [("", "", [])] == [(each["version"], each["digest"], each["upstreams"]) for each in found["pods"]]


async def test_exported_services_and_named_target_ports_are_read_where_they_are() -> None:
    """EndpointSlices only of the namespaces whose Services name a target port."""
    shared = service("hq", port(80, "grpc", targetPort="api"), namespace="store", annotations={names.EXPORT_TO: "shop"})
    hidden = service("safe", namespace="bank")
    slices = endpoint_slice("hq", {"name": "grpc", "port": 8080}, namespace="store")
    reader = FakeReader(FRONT, LABELLED, ORDERS, shared, hidden, slices)

    found = await explained(reader)

    assert ["orders.shop", "hq.store"] == [each["service"] for each in found["routes"]["authorities"]]
    assert ["/apis/discovery.k8s.io/v1/namespaces/store/endpointslices"] == [
        path for path, _ in reader.asked if "endpointslices" in path
    ]


async def test_a_cron_jobs_pods_are_those_of_its_jobs() -> None:
    """Other Jobs' are not."""
    template = {"spec": FRONT["spec"]}
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": "shop", "uid": "u"},
        "spec": {"jobTemplate": template},
    }
    jobs = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": "shop", "ownerReferences": by},
        }
        for name, by in (("nightly-1", [{"uid": "u"}]), ("other", [{"uid": "x"}]))
    ]
    pods = [live_pod(name, builders.pod(labels={"job": name}), inject=False) for name in ("nightly-1", "other")]
    reader = FakeReader(cron, LABELLED, *jobs, *pods)

    found = await explained(reader, "CronJob", "nightly")

    assert ["nightly-1"] == [each["name"] for each in found["pods"]]
    assert ["batch.kubernetes.io/job-name in (nightly-1)"] == reader.selectors()
    assert [] == (await explained(FakeReader(cron, LABELLED, *pods), "CronJob", "nightly"))["pods"]


async def test_a_selectors_every_form_is_asked_as_the_api_spells_it() -> None:
    """Equality and the four operators."""
    front = copy.deepcopy(FRONT)
    front["spec"]["selector"]["matchExpressions"] = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "env", "operator": "NotIn", "values": ["test"]},
        {"key": "x", "operator": "Exists"},
        {"key": "y", "operator": "DoesNotExist"},
    ]
    reader = FakeReader(front, LABELLED)

    await explained(reader)

    assert ["app=front,tier in (a,b),env notin (test),x,!y"] == reader.selectors()


async def test_what_may_not_be_read_is_noted_and_the_rest_is_told() -> None:
    """Exports need a list of all Services, the label needs the Namespace."""
    reader = FakeReader(FRONT, LABELLED, ORDERS, forbidden=["/api/v1/services", "/api/v1/namespaces/shop"])

    found = await explained(reader)

    assert ["Services that other namespaces export", "the Namespace's labels"] == [
        note.partition(" are not known")[0] for note in found["notes"][:2]
    ]
    assert ["orders.shop"] == [each["service"] for each in found["routes"]["authorities"]]
    assert found["why"].startswith("as if namespace shop had label")


async def test_it_judges_by_the_settings_of_the_clusters_webhook() -> None:
    """Where they cannot be read, by the defaults, and says so."""
    webhook = builders.deployment("evenkeel-webhook", namespace="evenkeel-system")
    [program] = webhook["spec"]["template"]["spec"]["containers"]
    program |= {"args": ["serve"], "env": [{"name": "EVENKEEL_SIDECAR_PORTS_EGRESS", "value": "9901"}]}

    known = await explained(FakeReader(FRONT, LABELLED, ORDERS, webhook))
    unknown = await explained(FakeReader(FRONT, LABELLED, ORDERS))

    assert ("127.0.0.1:9901", []) == (known["routes"]["listener"], known["notes"])
    assert "127.0.0.1:9001" == unknown["routes"]["listener"]
    assert unknown["notes"][0].startswith("judged by the defaults, since the settings of the cluster's webhook are not")


async def test_settings_given_go_before_those_of_the_cluster() -> None:
    """As in `check`."""
    given = (SidecarSettings(cluster_domain="example.org"), builders.templates())

    [_], engine = await from_reader(FakeReader(FRONT, LABELLED), Target("Deployment", "front"), "shop", given)

    assert "example.org" == engine.settings.cluster_domain


async def test_a_workload_that_is_not_there_is_told() -> None:
    """It ends with code 1 in the command."""
    with pytest.raises(EvenkeelError, match="found no Deployment front in namespace shop; --namespace names another"):
        await explained(FakeReader(LABELLED))


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (Asked(None), "KIND/NAME"),
        (Asked(Target("Pod", "a"), catalog=["x"]), "--catalog"),
        (Asked(None, files=["x"], context="prod"), "--kubeconfig, --context"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(asked: Asked, hint: str) -> None:
    """It ends with code 2 in the command, before anything is read."""
    with pytest.raises(typer.BadParameter) as raised:
        run_explain(asked, Report(), as_json=False)

    assert hint == raised.value.param_hint


def test_manifests_are_explained_by_the_settings_given(shell: Shell, capsysbinary: Any) -> None:
    """From the command's own arguments to its exit code."""
    pod, settings_file = shell.write("pod.yaml", POD), shell.write("settings.yaml", "sidecar: {ports: {egress: 9901}}")
    asked = Asked(None, files=[str(shell.folder / pod)], settings=shell.folder / settings_file)

    assert 0 == run_explain(asked, Report(), as_json=False)
    assert b"calls to 127.0.0.1:9901\n" in capsysbinary.readouterr().out


def test_without_a_cluster_it_says_what_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It ends with code 2 in the command."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    with pytest.raises(SettingsError, match="there is no file"):
        run_explain(Asked(Target("Pod", "a")), Report(), as_json=False)


def test_the_engine_is_the_one_of_the_operators_settings(tmp_path: Any) -> None:
    """Ports and domain appear in what is told."""
    (tmp_path / "settings.yaml").write_text("sidecar: {ports: {egress: 9901}}\n")

    assert 9901 == load_engine(tmp_path / "settings.yaml", None).settings.ports.egress
