"""What the API server gets for workloads and Services: warnings, and never a refusal."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings

from tests import builders
from tests.core import strategies
from tests.server.kit import CATALOG, INJECTOR, JSON, Webhook, logs, response
from webhook.catalog_files import CatalogHolder
from webhook.core import names
from webhook.core.lint import lint
from webhook.core.model import JsonObject
from webhook.server.app import admission_app
from webhook.server.body import BodyLimits
from webhook.server.validate import Validate

KINDS = {
    "Deployment": "apps",
    "StatefulSet": "apps",
    "DaemonSet": "apps",
    "Job": "batch",
    "CronJob": "batch",
    "Service": "",
}
TYPO = {"evenkeel.dev/upstream-s": "orders"}


def shipped(document: JsonObject, catalog: Any) -> tuple[str, ...]:
    """Judge as the webhook does."""
    return lint(document, catalog, INJECTOR, None)


class Validating(Webhook):
    """The admission application with both endpoints."""

    def __init__(self, lint: Any = shipped, catalog: Any = lambda: CATALOG, limits: BodyLimits | None = None) -> None:
        super().__init__()
        validate = Validate(
            lint=lint,
            catalog=catalog,
            limits=limits or BodyLimits(4 * 1024 * 1024, 0.9),
            metrics=self.metrics,
            draining=lambda: self.draining,
        )
        self.app = admission_app(self.mutate, validate)
        self.ask = partial(self.post, path="/validate")

    def validated(self, result: str, reason: str) -> float:
        """Give how often a result was counted."""
        labels = {"result": result, "reason": reason}
        return self.metrics.registry.get_sample_value("evenkeel_validations_total", labels) or 0.0


def workload(kind: str = "Deployment", *, annotations: Any = None, **metadata: Any) -> Any:
    """Make an object of a kind, with annotations on its pods or, of a Service, on itself."""
    meta = {"name": "web", "namespace": "shop", **metadata}
    if kind == "Service":
        return builders.service("web", annotations=annotations) | {"metadata": {**meta, "annotations": annotations}}
    template: Any = {"metadata": {"annotations": annotations}, "spec": {"containers": [builders.container()]}}
    spec = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    return {"apiVersion": f"{KINDS[kind]}/v1", "kind": kind, "metadata": meta, "spec": spec}


def review(document: Any, **request: Any) -> Any:
    """Make the review about it."""
    kind = document["kind"]
    return builders.review(document, **{"kind": {"group": KINDS[kind], "version": "v1", "kind": kind}, **request})


def warnings(answer: httpx.Response) -> list[str]:
    """Give the warnings of an answer that allows."""
    assert (200, True) == (answer.status_code, response(answer)["allowed"])
    return list(response(answer).get("warnings", []))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
async def test_a_typo_is_told_for_every_kind(kind: str, operation: str) -> None:
    """With the object's name, the key and the nearest known one; the object is allowed."""
    webhook = Validating()

    answer = await webhook.ask(review(workload(kind, annotations=TYPO), operation=operation))

    [warning] = warnings(answer)
    assert warning.startswith(f"evenkeel: {kind}/web: unknown annotation 'evenkeel.dev/upstream-s'; did you mean ")
    assert {"result": "warned", "warnings": "1"} == response(answer)["auditAnnotations"]
    assert 1 == webhook.validated("warned", "linted")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_fine_is_quiet(kind: str) -> None:
    """No `warnings` at all."""
    webhook = Validating()

    answer = await webhook.ask(review(workload(kind)))

    assert "warnings" not in response(answer)
    assert 1 == webhook.validated("quiet", "linted")


async def test_what_would_refuse_pods_is_allowed_with_a_warning() -> None:
    """The pods are refused when they come; the workload is not."""
    bad = workload(annotations={names.APP_PORT: "http", names.PROXY_CONCURRENCY: "many"})

    found = warnings(await Validating().ask(review(bad)))

    assert 2 == len(found)
    assert all(": pods of this would be refused: annotation " in warning for warning in found)


async def test_a_dry_run_gets_the_same_answer() -> None:
    """`kubectl apply --dry-run=server` shows what an apply would."""
    webhook = Validating()

    real = await webhook.ask(review(workload(annotations=TYPO)))
    dry = await webhook.ask(review(workload(annotations=TYPO), dryRun=True))

    assert real.content == dry.content


async def test_warnings_are_bounded_and_of_one_line_each() -> None:
    """The API server cuts single ones at 256 characters and drops those above 4 KiB together."""
    many = {f"evenkeel.dev/{number}\n{'x' * 300}": "\r\n" for number in range(100)}

    found = warnings(await Validating().ask(review(workload(annotations=many))))

    assert max(map(len, found)) <= 256
    assert sum(len(warning.encode()) for warning in found) <= 4096
    assert not any("\n" in warning or "\r" in warning for warning in found)
    assert found[-1].endswith("more warnings")


async def test_a_service_is_judged_as_if_it_were_in_the_catalog() -> None:
    """Its claim against those that are there."""
    both = {names.GRPC_SERVICES: "shop.Orders"}
    known = builders.catalog(builders.service("orders", annotations=both))

    found = warnings(await Validating(catalog=lambda: known).ask(review(workload("Service", annotations=both))))

    assert ["evenkeel: Service/web: annotation evenkeel.dev/grpc-services: orders.shop claims shop.Orders too"] == [
        warning.partition(";")[0] for warning in found
    ]


@pytest.mark.parametrize(
    ("request_", "metadata", "reason"),
    [
        pytest.param({"operation": "DELETE"}, {}, "not-applied", id="deleted"),
        pytest.param({"operation": "UPDATE", "subResource": "scale"}, {}, "not-applied", id="scaled"),
        pytest.param({"operation": "UPDATE"}, {"deletionTimestamp": "x"}, "deleted", id="a finalizer goes"),
        pytest.param({}, {"ownerReferences": [{"controller": True}]}, "controlled", id="made by a controller"),
    ],
)
async def test_where_nobody_would_read_it_nothing_is_said(request_: Any, metadata: Any, reason: str) -> None:
    """Neither is anything looked for."""
    webhook = Validating(lint=raising(AssertionError()))
    document = workload(annotations=TYPO, **metadata)

    answer = await webhook.ask(review(document, oldObject=document, **request_))

    assert [] == warnings(answer)
    assert 1 == webhook.validated("quiet", reason)


def raising(error: BaseException) -> Any:
    """Make a core that fails as it is told."""

    def fail(*_: object) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"{", "no JSON", id="cut JSON"),
        pytest.param(orjson.dumps(builders.review(builders.pod())), "found 'v1 Pod', expected one of", id="a Pod"),
        pytest.param(orjson.dumps(review(workload(), kind=None)), "request.kind", id="no kind"),
        pytest.param(orjson.dumps(review(workload(), kind={"group": [], "version": {}})), "request.kind", id="odd"),
        pytest.param(orjson.dumps(review(workload(), namespace=None)), "request.namespace", id="no namespace"),
        pytest.param(orjson.dumps(review(workload(), object=None)), "request.object", id="no object"),
        pytest.param(orjson.dumps(review(workload(), object={})), "request.object.metadata", id="no metadata"),
        pytest.param(orjson.dumps(review(workload(), object={"metadata": {}})), "spec: found nothing", id="no spec"),
    ],
)
async def test_what_is_no_review_of_such_an_object_gets_400_and_a_sentence(body: bytes, says: str) -> None:
    """As at /mutate."""
    with logs() as lines:
        answer = await Validating().post(body, path="/validate")

    assert 400 == answer.status_code
    assert says in answer.json()["error"]
    assert [("validation", "malformed")] == [(line["event"], line["result"]) for line in lines]


async def test_a_body_too_large_gets_413_and_another_type_415() -> None:
    """As at /mutate."""
    webhook = Validating(limits=BodyLimits(1024, 0.9))

    large = await webhook.ask(b" " * 2000)
    plain = await webhook.ask(review(workload()), headers={"content-type": "text/plain"})

    assert (413, 415) == (large.status_code, plain.status_code)
    assert 1 == webhook.validated("malformed", "too-large")
    assert 1 == webhook.validated("malformed", "wrong-content-type")


async def test_before_the_services_are_known_it_answers_503() -> None:
    """The API server goes on without us."""
    webhook = Validating(catalog=lambda: CatalogHolder().current)

    answer = await webhook.ask(review(workload()))

    assert 503 == answer.status_code
    assert 1 == webhook.validated("unavailable", "catalog-not-ready")


async def test_a_bug_gets_500_and_one_traceback_with_the_uid() -> None:
    """Never a denial; the text of the error, which may quote the object, is not logged."""
    with logs() as lines:
        answer = await Validating(lint=raising(ZeroDivisionError("secret"))).ask(review(workload()))

    assert 500 == answer.status_code
    assert [("crashed", builders.UID, "Deployment/web")] == [(x["result"], x["uid"], x["object"]) for x in lines]
    assert "ZeroDivisionError" in lines[0]["exception"]
    assert "secret" not in lines[0]["exception"]


async def test_what_mutate_counts_is_its_own() -> None:
    """Validations are no admissions."""
    webhook = Validating()

    await webhook.ask(review(workload()))
    await webhook.post(builders.review(builders.pod()))

    assert 1 == webhook.counted("injected", "selected")
    assert 0 == webhook.counted("quiet", "linted")
    assert 1 == webhook.metrics.registry.get_sample_value("evenkeel_validation_duration_seconds_count")


async def test_other_methods_and_paths_name_what_is_served() -> None:
    """Both, where both are."""
    webhook = Validating()

    answers = [await webhook.call("GET", "/validate"), await webhook.call("POST", "/other", headers=JSON)]

    assert [405, 404] == [answer.status_code for answer in answers]
    assert all("expected POST /mutate or POST /validate" in answer.json()["error"] for answer in answers)


async def test_without_it_the_path_is_not_served() -> None:
    """As in a server that only injects."""
    answer = await Webhook().post(review(workload()), path="/validate")

    assert 404 == answer.status_code


async def test_a_draining_server_closes_its_connections() -> None:
    """So that the API server goes to another replica."""
    webhook = Validating()
    webhook.draining = True

    answer = await webhook.ask(review(workload()))

    assert "close" == answer.headers["connection"]


@given(strategies.broken(strategies.services()) | strategies.broken(strategies.deployments()))
@settings(max_examples=150)
async def test_whatever_is_sent_is_allowed_or_malformed(document: Any) -> None:
    """Never denied, never a bug."""
    kind = "Service" if "ports" in str(document.get("spec")) and "template" not in str(document) else "Deployment"
    named = {"group": KINDS[kind], "version": "v1", "kind": kind}
    body = json.dumps(builders.review({}, object=document, kind=named, namespace="shop")).encode()

    answer = await Validating().post(body, path="/validate")

    assert answer.status_code in (200, 400)
    assert answer.status_code == 400 or response(answer)["allowed"]
