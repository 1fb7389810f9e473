"""What holds of everything that anybody can send, tried with what hypothesis makes up."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonpatch
import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests import builders
from tests.core import envoys, strategies
from tests.core.places import differences, without_ours
from tests.core.summary import parsed
from webhook.core import names
from webhook.core.errors import NotAPod, PodRejected
from webhook.core.inject import Injector
from webhook.core.model import SidecarSettings
from webhook.core.outcome import Outcome
from webhook.core.patch import PatchRecorder
from webhook.core.pod import read_pod
from webhook.templates import dump

CATALOGS = st.lists(strategies.ANYTHING, max_size=8)
INJECTOR = builders.injector()
MARK = "M4RK"


def admitted(document: Any, *objects: Any, injector: Injector = INJECTOR) -> Outcome:
    """Admit a Pod beside some objects."""
    return injector.admit(read_pod(document, "shop"), builders.catalog(*objects), None)


def patched(document: Any, outcome: Outcome) -> Any:
    """Apply the operations, by a library that is not ours."""
    return jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))


def written(outcome: Outcome) -> Any:
    """Give the files, parsed."""
    assert outcome.sidecar is not None
    return parsed({"metadata": {"annotations": outcome.sidecar.annotations}})


def hosts(outcome: Outcome) -> dict[str, Any]:
    """Give the virtual hosts by name."""
    return {host["name"]: host for host in written(outcome)[2]["resources"][0]["virtual_hosts"]}


@given(strategies.JSON | strategies.broken(strategies.pods()) | strategies.pods())
@settings(max_examples=150)
def test_reading_a_pod_raises_nothing_else(document: Any) -> None:
    """Whatever JSON is sent, it is a Pod, or NotAPod says in one sentence why not."""
    try:
        refusal = read_pod(document, "shop") and None
    except NotAPod as error:
        refusal = str(error)

    assert refusal is None or ": found " in refusal


@given(strategies.pods())
@example({"spec": {"containers": [{"name": "a"}], "initContainers": None, "volumes": None}, "metadata": None})
@settings(max_examples=60)
def test_operations_apply_to_any_pod(document: Any) -> None:
    """With nulls and odd keys, or without: the patch applies, and takes nothing of the user's away."""
    before = copy.deepcopy(document)

    outcome = admitted(document, builders.service())
    after = patched(document, outcome)

    assert outcome.injected
    assert document == before
    assert without_ours({"metadata": {}, **document, "spec": document["spec"]}) == without_ours(after)
    assert after["spec"]["initContainers"][0]["name"] == names.SIDECAR


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "append"]),
        st.lists(strategies.TEXTS, min_size=1, max_size=3),
        strategies.JSON,
    ),
    max_size=5,
)


@given(st.dictionaries(strategies.TEXTS, strategies.JSON, max_size=3), EDITS)
@settings(max_examples=120)
def test_the_recorder_gives_the_document_that_its_operations_give(document: Any, edits: Any) -> None:
    """For any document and edits that fit it; the original stays as it was."""
    before, recorder = copy.deepcopy(document), PatchRecorder(document)

    for kind, path, value in edits:
        if fits(recorder.document, path, list_wanted=kind != "set"):
            {
                "set": lambda p, v: recorder.set(*p, value=v),
                "insert": lambda p, v: recorder.insert(*p, index=0, value=v),
                "append": lambda p, v: recorder.append(*p, value=v),
            }[kind](path, value)

    assert document == before
    assert jsonpatch.apply_patch(before, copy.deepcopy([*map(dict, recorder.operations)])) == recorder.document


def fits(node: Any, path: list[str], *, list_wanted: bool) -> bool:
    """Say whether an edit at this path is possible: objects on the way, nothing or a list at its end."""
    for part in path[:-1]:
        node = node.get(part)
        if node is None:
            return True
        if not isinstance(node, dict):
            return False
    return not list_wanted or isinstance(node.get(path[-1]), list | None)


@given(CATALOGS)
@settings(max_examples=80)
def test_any_catalog_gives_what_the_types_accept(objects: list[Any]) -> None:
    """No Service, slice or workload, however wrong, raises, or puts in what Envoy's types refuse."""
    outcome = admitted(builders.pod(), *objects)

    assert envoys.parse(*written(outcome)) >= 3


@given(st.lists(strategies.ANYTHING, min_size=4, max_size=15), st.sampled_from([None, "8080"]), st.booleans())
@settings(max_examples=15)
def test_any_catalog_gives_what_the_real_envoy_accepts(objects: list[Any], port: str | None, ipv6: bool) -> None:
    """The same, asked of the real Envoy, with and without an ingress and IPv6."""
    document = builders.pod(annotations={names.APP_PORT: port} if port else {})

    outcome = admitted(document, *objects, injector=builders.injector(SidecarSettings(ipv6=ipv6)))

    with TemporaryDirectory() as folder:
        assert envoys.refusals([written(outcome)], Path(folder)) == {}


DISTINCT = st.lists(
    strategies.services(), max_size=6, unique_by=lambda one: (one["metadata"]["name"], one["metadata"]["namespace"])
)


@given(DISTINCT, st.randoms())
@settings(max_examples=60)
def test_the_order_of_objects_does_not_matter(objects: list[Any], random: Any) -> None:
    """Shuffled input gives the same bytes, and the same version of the catalog."""
    shuffled = list(objects)
    random.shuffle(shuffled)

    one, other = (builders.catalog(*each) for each in (objects, shuffled))
    pod = builders.view_of_pod()

    assert one.version == other.version
    assert INJECTOR.admit(pod, one, None).operations == builders.injector().admit(pod, other, None).operations


OWN = strategies.services(st.just("shop"))
FOREIGN = strategies.services(st.sampled_from(["store", "svc", "1e3"]))


@given(st.lists(OWN, max_size=4), st.lists(FOREIGN, min_size=1, max_size=4))
@settings(max_examples=60)
def test_another_namespace_takes_nothing_away(own: list[Any], foreign: list[Any]) -> None:
    """No name, no path and no default of this namespace's Services goes elsewhere, exported or not."""
    alone, beside = (hosts(admitted(builders.pod(), *each)) for each in (own, [*own, *foreign]))
    mine = alone.keys() - {"unknown", "localhost"}

    assert {name: beside[name] for name in mine} == {name: alone[name] for name in mine}
    *paths, default = alone["localhost"]["routes"]
    *all_paths, new_default = beside["localhost"]["routes"]
    assert [route for route in paths if route not in all_paths] == []
    assert len({route["match"]["prefix"] for route in all_paths}) == len(all_paths)
    if "route" in default or "several upstreams" in str(default):
        assert new_default == default


@given(st.lists(FOREIGN, min_size=1, max_size=4))
@settings(max_examples=60)
def test_what_is_not_exported_is_not_seen(foreign: list[Any]) -> None:
    """Another namespace's Service without a word about export is nowhere in the configuration."""
    for service in foreign:
        service["metadata"]["annotations"].pop(names.EXPORT_TO, None)

    assert admitted(builders.pod(), *foreign).operations == admitted(builders.pod()).operations


@given(st.sampled_from(names.ANNOTATIONS_ON_SERVICES), strategies.HOSTILE, st.sampled_from("%\"'\n\r\0*{}$\\&<>|`: /"))
@settings(max_examples=60)
def test_what_a_service_says_wrong_reaches_no_route(key: str, text: str, bad: str) -> None:
    """A hostile text on a Service is left out: nothing of it is anywhere, and its neighbour is as without it."""
    hostile = builders.service("evil", annotations={key: f"{MARK}{bad}{MARK}{text}"})

    outcome = admitted(builders.pod(), builders.service("orders"), hostile)
    without = admitted(builders.pod(), builders.service("orders"), builders.service("evil"))

    assert MARK not in str(written(outcome))
    assert hosts(outcome) == hosts(without)


# Which place each annotation of a Pod may change; nothing else may differ.
MAY_CHANGE = {
    names.UPSTREAMS: ("clusters", "routes", "status"),
    names.DEFAULT_UPSTREAM: ("routes.localhost", "status"),
    names.APP_PORT: ("clusters", "listeners.ingress", "container.lifecycle", "status"),
    names.PROXY_CPU_REQUEST: ("container.resources.requests.cpu", "container.resources.limits.cpu"),
    names.PROXY_CPU_LIMIT: ("container.resources.requests.cpu", "container.resources.limits.cpu"),
    names.PROXY_MEMORY_REQUEST: ("container.resources.requests.memory", "container.resources.limits.memory"),
    names.PROXY_MEMORY_LIMIT: ("container.resources.requests.memory", "container.resources.limits.memory"),
    names.PROXY_IMAGE: ("container.image",),
    names.PROXY_LOG_LEVEL: ("container.args.9",),
    names.PROXY_CONCURRENCY: ("container.args.7",),
    names.ACCESS_LOG: ("listeners.egress", "status"),
    names.CAPTURE: ("aliases", "captures", "listeners.orders.shop", "listeners.users.shop", "volume", "status"),
}
SERVICES = (builders.service("orders"), builders.service("users", annotations={names.GRPC_SERVICES: "a.A"}))


def everything(outcome: Outcome) -> dict[str, Any]:
    """Give all that an admission writes, by name where it has one."""
    assert outcome.sidecar is not None
    files = written(outcome)
    return {
        "container": outcome.sidecar.container,
        "volume": outcome.sidecar.volume,
        "status": outcome.sidecar.annotations[names.STATUS],
        "bootstrap": files.bootstrap,
        "clusters": {each["name"]: each for each in files.clusters["resources"]},
        "listeners": {each["name"]: each for each in files.listeners["resources"]},
        "captures": files.captures,
        "aliases": [capture.host_alias for capture in outcome.sidecar.captures.captured],
        "routes": hosts(outcome),
    }


PLAIN = everything(admitted(builders.pod(), *SERVICES))
ACCEPTED = {
    names.UPSTREAMS: "orders",
    names.DEFAULT_UPSTREAM: "orders",
    names.APP_PORT: "8080",
    names.PROXY_CPU_REQUEST: "3",
    names.PROXY_CPU_LIMIT: "1m",
    names.PROXY_MEMORY_REQUEST: "1Gi",
    names.PROXY_MEMORY_LIMIT: "2Mi",
    names.PROXY_IMAGE: "localhost/envoy",
    names.PROXY_LOG_LEVEL: "off",
    names.PROXY_CONCURRENCY: "128",
    names.ACCESS_LOG: "disabled",
    names.CAPTURE: "enabled",
}


@pytest.mark.parametrize("key", MAY_CHANGE)
def test_an_annotation_changes_its_own_place(key: str) -> None:
    """The map of places is right: each annotation does change something, and there only."""
    changed = differences(PLAIN, everything(admitted(builders.pod(annotations={key: ACCEPTED[key]}), *SERVICES)))

    assert changed
    assert [place for place in changed if not place.startswith(MAY_CHANGE[key])] == []


@given(strategies.KEYS, strategies.HOSTILE)
@settings(max_examples=200)
def test_no_text_of_an_annotation_reaches_another_place(key: str, text: str) -> None:
    """A hostile text is refused, or changes just the place that its key is for; an unknown key changes nothing."""
    document = builders.pod(annotations={key: text})
    try:
        outcome, problems = admitted(document, *SERVICES), ()
    except PodRejected as rejection:
        outcome, problems = None, rejection.problems

    assert [problem for problem in problems if key not in problem] == []
    assert outcome or key in names.ANNOTATIONS_ON_PODS
    if outcome is None:
        return
    changed = differences(PLAIN, everything(outcome))

    assert [place for place in changed if not place.startswith(MAY_CHANGE.get(key, ()))] == []
    after = patched(document, outcome)["metadata"]["annotations"]
    assert key in names.WRITTEN or after[key] == text


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=120)
def test_what_is_written_is_read_back_as_it_was(text: str) -> None:
    """No text can become another value, or break out of its quotes, on its way through YAML."""
    assume(not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text))

    document = {"key": text, "list": [text, {"deeper": text}]}

    assert yaml.safe_load(dump(document)) == document
