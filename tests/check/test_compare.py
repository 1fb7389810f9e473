"""What is found beside what ships: real differences are named, the API server's additions are none."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.check import world
from webhook.check.compare import differences

SHIPPED: dict[str, Any] = {
    "failurePolicy": "Ignore",
    "clientConfig": {"service": {"name": "evenkeel-webhook", "path": "/mutate"}},
    "rules": [{"operations": ["CREATE"], "resources": ["pods"]}],
    "matchConditions": [{"name": "one", "expression": "true"}],
    "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
}


def told(change: dict[str, Any]) -> list[str]:
    """Name the differences of an object with some fields changed."""
    return [str(one) for one in differences(SHIPPED, {**copy.deepcopy(SHIPPED), **change})]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"matchPolicy": "Equivalent"},
        {"objectSelector": {}},
        {"timeoutSeconds": 10},
        {"clientConfig": {"caBundle": "x", "service": {"name": "evenkeel-webhook", "path": "/mutate", "port": 443}}},
        {"rules": [{"operations": ["CREATE"], "resources": ["pods"], "scope": "*"}]},
        {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "a", "operator": "Exists"},
                    {"key": "control-plane", "operator": "NotIn", "values": ["true"]},
                    {"key": "kubernetes.azure.com/managedby", "operator": "NotIn", "values": ["aks"]},
                ]
            }
        },
    ],
    ids=["nothing", "default", "empty", "default-number", "ca-bundle", "default-inside", "azure"],
)
def test_what_a_cluster_adds_by_itself_is_no_difference(change: dict[str, Any]) -> None:
    """Defaults, the caBundle, and what a cloud adds again and again."""
    assert told(change) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"failurePolicy": "Fail"}, ["failurePolicy: found 'Fail', shipped 'Ignore'"]),
        ({"timeoutSeconds": 30}, ["timeoutSeconds: found 30, shipped nothing"]),
        ({"rules": []}, ["rules: found '[]', shipped \"[{'operations': ['CREATE'], 'resources': ['pods']}]\""]),
        (
            {"rules": [{"operations": ["CREATE"], "resources": ["jobs"]}]},
            ["rules[0].resources[0]: found 'jobs', shipped 'pods'"],
        ),
        (
            {"matchConditions": [{"name": "two", "expression": "true"}]},
            ["matchConditions[one]: found nothing, shipped one", "matchConditions[two]: found one, shipped nothing"],
        ),
        (
            {"clientConfig": {"url": "https://elsewhere"}},
            [
                "clientConfig.service: found nothing, shipped \"{'name': 'evenkeel-webhook', 'path': '/mutate'}\"",
                "clientConfig.url: found 'https://elsewhere', shipped nothing",
            ],
        ),
    ],
    ids=["value", "added", "removed", "inside", "named", "other-field"],
)
def test_a_difference_is_named_by_its_field(change: dict[str, Any], expected: list[str]) -> None:
    """With what was found and what ships."""
    assert told(change) == expected


def test_what_ships_is_as_shipped() -> None:
    """Every object, so that no cluster is ever told to differ from nothing."""
    for one in world.shipped():
        assert list(differences(one, copy.deepcopy(one))) == []
