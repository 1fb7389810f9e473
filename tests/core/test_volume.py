"""The volume by which annotations become files, with a token where the sidecar must say who it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import view_of_pod
from webhook.core import names
from webhook.core.proxyless import is_proxyless_volume
from webhook.core.volume import carries_token, is_our_volume, volume

USUAL = dict.fromkeys(names.CONFIGURATION, "x")
PUSHED = {**USUAL, names.TRUST: "x", names.IDENTITY: "x"}


def items(of: Any) -> list[str]:
    """Give the files of a volume."""
    sources = of["projected"]["sources"] if "projected" in of else [of]
    return [item["path"] for source in sources for item in source.get("downwardAPI", {}).get("items", ())]


def test_the_usual_volume_projects_four_annotations() -> None:
    """In the order of their files, whatever the annotations' order and whatever else there is."""
    made = volume({names.STATUS: "x", **dict(reversed(USUAL.items())), "example.com/x": "y"})

    assert made == {
        "name": "evenkeel-config",
        "downwardAPI": {
            "defaultMode": 0o444,
            "items": [
                {
                    "path": f"{file}.yaml",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['evenkeel.dev/{file}']"},
                }
                for file in ("bootstrap", "clusters", "routes", "listeners")
            ],
        },
    }


def test_captures_are_one_more_file() -> None:
    """Only where there are some: a Pod without the annotation would have an empty file."""
    made = volume({**USUAL, names.CAPTURES: "x"})

    assert items(made)[4:] == ["captures.yaml"]
    assert "downwardAPI" in made


def test_an_identity_comes_with_a_token_in_the_same_volume() -> None:
    """So that one swap of the kubelet changes all, and the sidecar watches one folder."""
    made = volume(PUSHED)

    assert items(made)[4:] == ["trust.yaml", "identity.yaml"]
    assert made["projected"]["sources"][1:] == [
        {"serviceAccountToken": {"audience": "evenkeel-xds", "expirationSeconds": 3600, "path": "token"}}
    ]
    assert made["projected"]["defaultMode"] == 0o444


def test_equal_annotations_give_the_same_volume() -> None:
    """It is made once for a thousand Pods."""
    assert volume(dict(PUSHED)) is volume(dict(reversed(PUSHED.items())))


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (volume(USUAL), True),
        (volume(PUSHED), True),
        ({**volume(USUAL), "name": "other"}, False),
        ({"name": names.VOLUME}, False),
        ({"name": names.VOLUME, "emptyDir": {}}, False),
        ({"name": names.VOLUME, "downwardAPI": None}, False),
        ({"name": names.VOLUME, "downwardAPI": {"items": "x"}}, False),
        ({"name": names.VOLUME, "downwardAPI": {"items": [None, {}, {"fieldRef": []}]}}, False),
        ({"name": names.VOLUME, "projected": []}, False),
        ({"name": names.VOLUME, "projected": {"sources": {"a": 1}}}, False),
        ({"name": names.VOLUME, "projected": {"sources": [None, {"downwardAPI": None}]}}, False),
        ({"name": names.VOLUME, "projected": {"sources": [{"serviceAccountToken": {}}]}}, False),
    ],
)
def test_a_volume_is_ours_by_its_name_and_by_what_it_projects(found: Any, ours: bool) -> None:
    """Whatever shape a stranger's has."""
    assert is_our_volume(found) is ours


@pytest.mark.parametrize(
    ("volumes", "carries"),
    [
        ([volume(PUSHED)], True),
        ([{"name": "data", "emptyDir": {}}, volume(PUSHED)], True),
        ([volume(USUAL)], False),
        ([], False),
        ([{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}], False),
    ],
)
def test_only_a_token_in_our_volume_is_ours(volumes: list[Any], carries: bool) -> None:
    """Every Pod has one for the API server."""
    assert carries_token(view_of_pod(volumes=volumes)) is carries


def test_what_a_proxyless_pod_has_is_another_volume_of_the_same_name() -> None:
    """A sidecar's is none of those, nor the other way round."""
    assert not is_proxyless_volume(volume(PUSHED))
