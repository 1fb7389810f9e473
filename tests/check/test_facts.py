"""What is asked of the API server, and how often."""

from __future__ import annotations

import pytest

from tests import builders
from tests.check.api import FakeApi
from webhook.check.facts import Facts
from webhook.check.model import NotAllowed
from webhook.check.place import Place
from webhook.check.shipped import Permission
from webhook.core import names
from webhook.kube import resources

LABELLED = {names.INJECT: names.ENABLED}


def cluster(namespaces: int) -> FakeApi:
    """Make a cluster with so many labelled namespaces, a Pod in each, and one elsewhere."""
    api = FakeApi()
    for number in range(namespaces):
        api.put(builders.namespace(f"n{number}", labels=LABELLED), builders.pod(namespace=f"n{number}"))
    api.put(builders.namespace("other"), builders.pod(namespace="other"))
    return api


@pytest.mark.parametrize(("namespaces", "lists"), [(3, 3), (20, 20), (21, 1)])
async def test_many_namespaces_are_listed_at_once(namespaces: int, lists: int) -> None:
    """A list of the whole cluster is cheaper than one for each; what is not asked for is left out."""
    api = cluster(namespaces)

    found = await Facts(api, Place()).in_labelled(resources.PODS)

    assert {one["metadata"]["namespace"] for one in found} == {f"n{number}" for number in range(namespaces)}
    assert len([one for one in api.asked if one.endswith("/pods")]) == lists


async def test_a_pod_that_opts_in_is_found_wherever_it_is_and_only_once() -> None:
    """Its namespace may be labelled as well."""
    api = cluster(1)
    opted = builders.pod(labels=LABELLED, namespace="other")
    api.put(opted, builders.pod(labels=LABELLED, namespace="n0"))

    found = await Facts(api, Place()).pods()

    assert sorted(one["metadata"]["namespace"] for one in found) == ["n0", "other"]


async def test_one_list_that_is_forbidden_is_told_as_itself() -> None:
    """And not as a group of errors."""
    api = cluster(2)
    api.denied.add(("", "list jobs"))

    with pytest.raises(NotAllowed, match="may not list it"):
        await Facts(api, Place()).workloads()


async def test_a_question_on_access_is_asked_as_rbac_means_it() -> None:
    """A subresource stands apart; what is empty is left out."""
    api = FakeApi()
    asked: list[object] = []
    create = api.create

    async def note(path: str, body: dict[str, object], **params: str) -> object:
        asked.append((path, body["spec"]))
        return await create(path, body, **params)

    api.create = note  # type: ignore[method-assign,assignment]
    wanted = Permission("patch", "apps", "deployments/scale", "shop", "web")

    assert await Facts(api, Place()).may("system:serviceaccount:evenkeel-system:evenkeel-webhook", wanted)
    attributes = {
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
        "namespace": "shop",
        "name": "web",
    }
    groups = ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:evenkeel-system"]
    user = "system:serviceaccount:evenkeel-system:evenkeel-webhook"
    assert asked == [
        (
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"user": user, "groups": groups, "resourceAttributes": attributes},
        )
    ]
