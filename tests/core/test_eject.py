"""The way back: eject(inject(x)) = x."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings

from tests import builders
from tests.core import strategies
from tests.core.cases import Case, cases, injected, run
from webhook.core import names
from webhook.core.eject import eject
from webhook.core.pod import read_pod

INJECTOR = builders.injector()
CATALOG = builders.catalog(builders.service("orders", annotations={names.CAPTURE: names.ENABLED}))


def ejected(document: Any) -> Any:
    """Apply what `eject` says, by a library that is not ours; the document stays as it was."""
    before = copy.deepcopy(document)
    operations = eject(read_pod(document, "shop"))
    assert document == before
    return jsonpatch.apply_patch(before, json.loads(json.dumps(operations)))


def inject(document: Any) -> Any:
    """Give an injected Pod."""
    outcome = INJECTOR.admit(read_pod(document, "shop"), CATALOG, None)
    return jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))


def plain(document: Any) -> Any:
    """Give a Pod without the empty parts that equal absent ones, where `inject` writes."""
    left = copy.deepcopy(document)
    for part, keys in (("metadata", ("labels", "annotations")), ("spec", ("initContainers", "volumes", "hostAliases"))):
        holder = left.get(part) or {}
        left[part] = {key: value for key, value in holder.items() if key not in keys or value}
    return {key: value for key, value in left.items() if value or key != "metadata"}


@pytest.mark.parametrize("case", injected(), ids=lambda case: case.name)
def test_every_golden_pod_comes_back(case: Case) -> None:
    """What had nothing of ours is what it was; what had some is what it was without that."""
    original = case.template.document

    back = ejected(run(case).patched)

    assert plain(back) == plain(ejected(original))
    assert eject(read_pod(original, "shop")) or plain(back) == plain(original)


def test_nearly_every_golden_pod_had_nothing_of_ours() -> None:
    """So that the test above says what it seems to say."""
    untouched = [case for case in injected() if not eject(case.pod)]

    assert len(untouched) > 0.9 * len(injected())


@pytest.mark.parametrize("case", [one for one in cases() if one not in injected()], ids=lambda case: case.name)
def test_a_pod_that_got_no_sidecar_is_touched_only_where_it_carried_ours(case: Case) -> None:
    """A skip or a refusal leaves nothing to take out, but for Pods that were injected before."""
    carries = "already-injected" in case.name or case.name == "our-container-twice-is-refused"

    assert carries == bool(eject(case.pod))


@given(strategies.pods())
@settings(max_examples=150)
def test_eject_takes_back_what_inject_did_to_any_pod(document: Any) -> None:
    """With nulls, empty parts, odd keys: what is left is the Pod, empty and null counting as absent."""
    assert plain(ejected(inject(document))) == plain(ejected(document))
    assert plain(ejected(document)) == plain(document)


@given(strategies.pods())
@settings(max_examples=50)
def test_a_second_time_finds_nothing(document: Any) -> None:
    """Neither in what was injected nor in what never was."""
    assert eject(read_pod(ejected(inject(document)), "shop")) == ()
    assert eject(read_pod(document, "shop")) == ()


def test_the_parents_that_inject_had_to_make_go_too() -> None:
    """Not a trace is left, not even an empty map."""
    bare = {"spec": {"containers": [{"name": "app"}]}}

    assert ejected(inject(bare)) == bare


def test_what_the_author_wrote_beside_ours_stays() -> None:
    """Other labels, annotations, volumes and init containers, in their order."""
    own = builders.pod(
        labels={"app": "front", names.INJECT: "enabled"},
        annotations={names.UPSTREAMS: "orders", "a/b~c": "x"},
        initContainers=[builders.container("first"), builders.container("second")],
        volumes=[{"name": "data", "emptyDir": {}}],
    )

    assert ejected(inject(own)) == own


def test_a_live_pod_with_what_kubernetes_added_comes_back_too() -> None:
    """Defaults inside our container, a token mounted into it, its place moved by another webhook."""
    live = inject(builders.pod(initContainers=[builders.container("first")]))
    first, second = live["spec"]["initContainers"]
    token = {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    first = {**first, "imagePullPolicy": "IfNotPresent", "volumeMounts": [*first["volumeMounts"], token]}
    live["spec"] |= {"initContainers": [second, first], "volumes": [*live["spec"]["volumes"], {"name": token["name"]}]}

    back = ejected(live)

    assert [second] == back["spec"]["initContainers"]
    assert [{"name": token["name"]}] == back["spec"]["volumes"]
    assert "annotations" not in back["metadata"]


def test_a_container_that_only_bears_our_name_is_the_authors() -> None:
    """Its shape decides, as for `inject`; a volume likewise."""
    theirs = builders.pod(
        initContainers=[builders.container(names.SIDECAR)], volumes=[{"name": names.VOLUME, "emptyDir": {}}]
    )

    assert eject(read_pod(theirs, "shop")) == ()


def test_our_annotations_go_without_a_container_too() -> None:
    """As a copy of a Pod may have them."""
    odd = builders.pod(annotations={names.STATUS: "{}", "mine": "1"})

    assert ejected(odd)["metadata"]["annotations"] == {"mine": "1"}
