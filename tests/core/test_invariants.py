"""What holds of every golden case, whatever its files say."""

from __future__ import annotations

import copy
import json
from base64 import b64decode
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format

from tests import builders, golden
from tests.core import envoys
from tests.core.cases import Case, Result, cases, injected, injector_of, run
from tests.core.places import without_ours
from tests.core.qos import qos_class
from tests.core.restricted import violations
from tests.core.summary import parsed
from webhook.core import names
from webhook.core.errors import PodRejected
from webhook.core.outcome import SkipReason
from webhook.core.pod import read_pod
from webhook.observe import Metrics
from webhook.server.app import admission_app
from webhook.server.body import BodyLimits
from webhook.server.mutate import Mutate

INJECTED = pytest.mark.parametrize("result", injected(), ids=lambda case: case.name, indirect=True)


@pytest.fixture
def result(request: pytest.FixtureRequest) -> Result:
    """Admit the Pod of a case, once for all tests."""
    return run(request.param)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_input_is_never_changed(case: Case) -> None:
    """The Pod that was handed in, and the objects around it, are as they were."""
    document, objects = copy.deepcopy(case.template.document), case.objects
    before = copy.deepcopy((document, objects))
    catalog = builders.catalog(*objects, default_namespace=case.namespace_name)

    with suppress(PodRejected):
        injector_of(case).admit(read_pod(document, case.namespace_name), catalog, case.namespace)

    assert before == (document, objects)


@INJECTED
async def test_a_second_pass_does_nothing(result: Result) -> None:
    """The server gives the operations of the case, with a uid drawn; about the injected Pod it skips, without any."""
    case = result.case

    first = await answer(result, case.pod.document)
    second = await answer(result, result.patched)

    drawn = injector_of(case).admit(case.pod, result.catalog, case.namespace, draw=builders.UID)
    assert json.loads(b64decode(first["patch"])) == [dict(each) for each in drawn.operations]
    assert second == {
        "uid": builders.UID,
        "allowed": True,
        "auditAnnotations": {"result": "skipped", "reason": str(SkipReason.ALREADY_INJECTED)},
    }


@INJECTED
def test_a_second_pass_does_nothing_where_the_services_are_gone(result: Result) -> None:
    """What the sidecar has is not taken from it by an admission."""
    again = read_pod(result.patched, result.case.namespace_name)

    outcome = injector_of(result.case).admit(again, builders.catalog(), None)

    assert outcome.skip is not None
    assert (outcome.skip.reason, outcome.operations, outcome.warnings) == (SkipReason.ALREADY_INJECTED, (), ())


@INJECTED
def test_what_the_user_wrote_is_unchanged(result: Result) -> None:
    """Take away what is ours, and the Pod is the one that came."""
    assert without_ours(result.original) == without_ours(result.patched)


@INJECTED
def test_the_sidecar_starts_first(result: Result) -> None:
    """Of the init containers that were there, none starts before ours, but where it already stood."""
    stood = [each["name"] for each in result.original["spec"].get("initContainers") or []]
    stands = [each["name"] for each in result.patched["spec"]["initContainers"]]

    assert stands == (stood if names.SIDECAR in stood else [names.SIDECAR, *stood])


@INJECTED
def test_the_qos_class_is_kept(result: Result) -> None:
    """Guaranteed and Burstable stay what they are; BestEffort becomes Burstable, since requests are always set."""
    theirs = without_ours(result.original)
    before, after = qos_class(theirs), qos_class(result.patched)

    assert {"BestEffort": "Burstable"}.get(before, before) == after


@INJECTED
def test_requests_and_limits_are_always_set(result: Result) -> None:
    """Autoscalers want requests and quotas want limits, but where the Pod has its own as a whole."""
    resources = sidecar(result).get("resources")
    pod_level = bool(result.original["spec"].get("resources"))

    assert (None if pod_level else {"requests": ["cpu", "memory"], "limits": ["cpu", "memory"]}) == (
        resources and {part: sorted(amounts) for part, amounts in resources.items()}
    )


@INJECTED
def test_requests_are_within_limits(result: Result) -> None:
    """Kubernetes refuses a container whose request is above its limit."""
    resources = sidecar(result).get("resources", {"requests": {}, "limits": {}})

    assert [] == [
        name for name, amount in resources["requests"].items() if number(amount) > number(resources["limits"][name])
    ]


@INJECTED
def test_the_sidecar_is_admitted_under_restricted(result: Result) -> None:
    """Pod Security "restricted" has nothing against the container or the volume."""
    [volume] = [each for each in result.patched["spec"]["volumes"] if each["name"] == names.VOLUME]

    assert [] == violations(result.patched["spec"], sidecar(result), volume)


@INJECTED
def test_annotations_fit(result: Result) -> None:
    """All annotations together are within what Kubernetes allows an object."""
    total = sum(
        len(key.encode()) + len(text.encode()) for key, text in result.patched["metadata"]["annotations"].items()
    )

    assert total <= 256 * 1024


@INJECTED
def test_the_same_input_gives_the_same_bytes(result: Result) -> None:
    """Another injector, and the objects in another order, give the very same operations."""
    case = result.case
    catalog = case.with_trust(builders.catalog(*reversed(case.objects), default_namespace=case.namespace_name))
    if any(problem.code == "duplicate" for problem in result.catalog.problems):
        catalog = case.catalog

    again = builders.injector(case.settings).admit(case.pod, catalog, case.namespace)

    assert result.outcome is not None
    assert (result.outcome.operations, result.outcome.warnings) == (again.operations, again.warnings)
    assert result.catalog.version == catalog.version


def test_the_real_envoy_accepts_every_configuration(tmp_path: Path) -> None:
    """Each distinct configuration of the cases starts an Envoy."""
    results = list(map(run, injected()))

    refused = envoys.refusals([parsed(result.patched) for result in results], tmp_path)

    assert {} == {results[number].case.name: why for number, why in refused.items()}


def test_the_real_envoy_would_say_no(tmp_path: Path) -> None:
    """The check above can fail: an unknown cluster, a port too large and a domain twice are each refused."""
    good = parsed(run(injected()[0]).patched)
    bad = [copy.deepcopy(good) for _ in range(3)]
    bad[0][1]["resources"].clear()
    bad[1][3]["resources"][0]["address"]["socket_address"]["port_value"] = 70000
    bad[2][2]["resources"][0]["virtual_hosts"][0]["domains"] *= 2

    assert [0, 1, 2] == sorted(envoys.refusals([*bad, good], tmp_path))


@INJECTED
def test_the_protobuf_types_accept_every_resource(result: Result) -> None:
    """No field is unknown to the types, and none has a wrong one."""
    assert envoys.parse(*parsed(result.patched)) >= 3


def test_the_protobuf_types_would_say_no() -> None:
    """The check above can fail: a misspelt field is refused, however deep it is."""
    files = parsed(run(injected()[0]).patched)
    files.clusters["resources"][0]["cluster_type"]["typed_config"]["dns_refresh_rat"] = "5s"

    with pytest.raises(json_format.ParseError, match="dns_refresh_rat"):
        envoys.parse(*files)


def test_qos_by_the_examples_of_kubernetes() -> None:
    """The judge of QoS classes says itself what Kubernetes' documentation says."""
    fixed = {"requests": {"cpu": "700m", "memory": "200Mi"}, "limits": {"cpu": "700m", "memory": "200Mi"}}
    some = {"requests": {"memory": "100Mi"}, "limits": {"memory": "200Mi"}}
    pods = [[fixed], [some], [{}], [fixed, {}], [some, {}]]

    classes = [qos_class({"spec": {"containers": [{"resources": each} for each in pod]}}) for pod in pods]

    assert ["Guaranteed", "Burstable", "BestEffort", "Burstable", "Burstable"] == classes


def test_restricted_would_say_no() -> None:
    """The judge of Pod Security names everything that a bare container lacks."""
    bare = golden.read(cases()[0].folder / "pod.yaml")["spec"]

    assert [
        "allowPrivilegeEscalation",
        "capabilities",
        "runAsNonRoot",
        "seccompProfile",
        "volume",
    ] == violations(bare, bare["containers"][0], {"name": "x", "hostPath": {"path": "/"}})


async def answer(result: Result, document: Any) -> Any:
    """Ask the server, as the API server would, about a Pod in the namespace of a case."""
    mutate = Mutate(
        admitter=injector_of(result.case),
        catalog=lambda: result.catalog,
        limits=BodyLimits(4 * 1024 * 1024, 5),
        metrics=Metrics(),
        draining=lambda: False,
    )
    transport = httpx.ASGITransport(app=admission_app(mutate))
    async with httpx.AsyncClient(transport=transport, base_url="https://evenkeel") as client:
        review = builders.review(document, namespace=result.case.namespace_name)
        answered = await client.post("/mutate", json=review)
    return answered.json()["response"]


def sidecar(result: Result) -> Any:
    """Give our container."""
    [found] = [each for each in result.patched["spec"]["initContainers"] if each["name"] == names.SIDECAR]
    return found


def number(amount: str) -> Decimal:
    """Read a quantity as far as the cases use them."""
    for suffix, factor in (("m", "0.001"), ("Ki", "1024"), ("Mi", str(1024**2)), ("Gi", str(1024**3)), ("", "1")):
        if amount.endswith(suffix):
            return Decimal(amount.removesuffix(suffix)) * Decimal(factor)
    raise AssertionError(amount)
