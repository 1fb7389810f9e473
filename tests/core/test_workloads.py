"""Where the pod template of each kind stands."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core.errors import NotAPod
from webhook.core.workloads import KINDS, pod_template

TEMPLATE = {"spec": {"containers": []}}


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "path"),
    [
        ("apps/v1", "Deployment", {"template": TEMPLATE}, "spec.template"),
        ("apps/v1", "StatefulSet", {"template": TEMPLATE}, "spec.template"),
        ("apps/v1", "DaemonSet", {"template": TEMPLATE}, "spec.template"),
        ("apps/v1", "ReplicaSet", {"template": TEMPLATE}, "spec.template"),
        ("v1", "ReplicationController", {"template": TEMPLATE}, "spec.template"),
        ("batch/v1", "Job", {"template": TEMPLATE}, "spec.template"),
        ("batch/v1", "CronJob", {"jobTemplate": {"spec": {"template": TEMPLATE}}}, "spec.jobTemplate.spec.template"),
    ],
)
def test_found(api_version: str, kind: str, spec: Any, path: str) -> None:
    """The template itself, not a copy, with the names of its owner."""
    found = pod_template(
        {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "namespace": "b"}, "spec": spec}
    )

    assert found is not None
    assert found.document is TEMPLATE
    assert (found.kind, found.name, found.namespace, ".".join(found.path)) == (kind, "a", "b", path)


def test_a_pod_is_its_own_template() -> None:
    """Its name may be only a prefix."""
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}

    found = pod_template(document)

    assert found is not None
    assert found.document is document
    assert (found.name, found.namespace, found.path) == ("a-*", None, ())


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        {},
        {"kind": "Service", "apiVersion": "v1"},
        {"kind": "Deployment", "apiVersion": "v1"},
        {"kind": "Job", "apiVersion": "apps/v1"},
        {"kind": ["Pod"], "apiVersion": "v1"},
        {"kind": "Pod", "apiVersion": "x/v1"},
    ],
)
def test_no_template(document: Any) -> None:
    """Another kind, or another group's."""
    assert pod_template(document) is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"spec": None}, "spec: found nothing"),
        ({"spec": []}, "spec: found list"),
        ({"spec": {}}, "spec.template: found nothing"),
        ({"spec": {"template": "x"}}, "spec.template: found str"),
        ({"metadata": "x", "spec": {"template": {}}}, "metadata: found str"),
    ],
)
def test_a_workload_that_is_not_shaped_like_one(document: Any, message: str) -> None:
    """The field is named."""
    with pytest.raises(NotAPod, match=message):
        pod_template({"apiVersion": "apps/v1", "kind": "Deployment", **document})


def test_every_kind_of_the_contract() -> None:
    """As the README promises."""
    assert set(KINDS) == {
        "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob",
    }  # fmt: skip
