"""What is kept of a Pod says all that matters, and little else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests import builders
from tests.core import strategies
from tests.reconcile.kit import INJECTOR, NOTHING, ORDERS, live_document, live_pod
from webhook import __version__
from webhook.core import names
from webhook.core.decide import carries_sidecar
from webhook.core.errors import PodRejected
from webhook.core.pod import Pod, read_pod
from webhook.reconcile.keep import PodKey, digest, keep_pod, version_number

CATALOG = builders.catalog(
    builders.service("orders"),
    builders.service("front", builders.port(80, "http", targetPort=15001), selector={"app": "front"}),
)


def refreshed(pod: Pod) -> Any:
    """Give what a Pod should carry, or its problems."""
    try:
        return INJECTOR.refresh(pod, CATALOG)
    except PodRejected as rejection:
        return rejection.problems


@given(strategies.pods())
@settings(max_examples=100)
def test_a_trimmed_pod_is_refreshed_like_the_whole(document: Any) -> None:
    """Everything that its annotations depend on is kept, whatever else a Pod has."""
    document["metadata"] = {**(document.get("metadata") or {}), "name": "front-0", "namespace": "shop"}

    kept = keep_pod(document).pod

    assert kept is not None
    assert refreshed(kept) == refreshed(read_pod(document, "shop"))
    assert carries_sidecar(kept) == carries_sidecar(read_pod(document, "shop"))


def test_a_live_pod_is_read() -> None:
    """Who it is, who wrote it, and that its sidecar is whole."""
    kept = live_pod(uid="u", version=7)

    assert (PodKey("shop", "front-0"), "u", 7, False, __version__) == (
        kept.key,
        kept.uid,
        kept.version,
        kept.ending,
        kept.writer,
    )
    assert kept.pod is not None
    assert carries_sidecar(kept.pod)


def test_our_texts_are_kept_as_digests() -> None:
    """A configuration has many KiB, and each of thousands of Pods has one."""
    document = live_document(catalog=ORDERS)
    kept = keep_pod(document)

    assert kept.carried == {
        key: digest(text) for key, text in document["metadata"]["annotations"].items() if key in names.REFRESHED
    }
    assert len(kept.carried) == 4
    assert len(json.dumps(kept.pod.document)) < 2000 < len(json.dumps(document))


def test_replicas_share_their_spec() -> None:
    """Though each has volumes of generated names."""
    one, other = live_document("a"), live_document("b")
    other["spec"]["volumes"].append({"name": "kube-api-access-x7k2p", "projected": {}})

    assert keep_pod(one).pod.spec is keep_pod(other).pod.spec


@pytest.mark.parametrize(
    ("part", "value", "differs"),
    [
        ("metadata", {"resourceVersion": "9"}, False),
        ("status", {"phase": "Running", "conditions": [{"type": "Ready"}]}, False),
        ("metadata", {"managedFields": [{}]}, False),
        ("metadata", {"uid": "another"}, True),
        ("metadata", {"labels": {"app": "other"}}, True),
        ("metadata", {"deletionTimestamp": "2026-08-22T10:00:00Z"}, True),
        ("status", {"phase": "Failed"}, True),
    ],
)
def test_only_what_matters_is_a_difference(part: str, value: dict[str, Any], differs: bool) -> None:
    """A Pod's status changes all the time; nobody has to look at it for that."""
    document = live_document()
    changed = {**document, part: {**document[part], **value}}

    assert keep_pod(changed).differs(keep_pod(document)) is differs


def test_what_is_no_pod_is_kept_as_such() -> None:
    """Nothing is raised; the plan leaves it alone."""
    assert keep_pod({"metadata": {"name": "x", "namespace": "shop"}, "spec": {}}).pod is None


@pytest.mark.parametrize("status", ["", "no json", "[]", "7", '{"digest": "x"}'])
def test_a_status_that_is_none_names_no_writer(status: str) -> None:
    """People can write there too."""
    document = live_document()
    document["metadata"]["annotations"][names.STATUS] = status

    assert keep_pod(document).writer == ""


def test_an_empty_text_has_an_empty_digest() -> None:
    """So that a configuration that was emptied does not look as if it were there."""
    assert (digest(""), bool(digest("x"))) == ("", True)


def test_versions_are_numbers_where_they_are_any() -> None:
    """They are compared; what is no number is older than everything."""
    assert [version_number(text) for text in ("12", None, "", "a1")] == [12, 0, 0, 0]


def test_nothing_is_different_from_itself_nor_equal_to_nothing() -> None:
    """The first sight of a Pod is a change."""
    kept = live_pod(catalog=NOTHING)

    assert not kept.differs(live_pod(catalog=NOTHING))
    assert kept.differs(None)
