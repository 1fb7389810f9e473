"""The article's front end as it was meant: its gRPC library balances, and several Services at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from webhook.core import names
from webhook.core.catalog import build_catalog
from webhook.core.model import SidecarSettings
from webhook.core.pod import read_pod
from webhook.core.proxyless import BOOTSTRAP, admit_proxyless
from webhook.xds.targets import meaning, parse

DOCUMENTS = list(yaml.safe_load_all((Path(__file__).parents[2] / "examples" / "proxyless.yaml").read_text()))
NAMESPACE = "default"


def deployments() -> dict[str, Any]:
    """Give the Deployments by name."""
    return {each["metadata"]["name"]: each for each in DOCUMENTS if each["kind"] == "Deployment"}


def test_it_has_the_articles_deployments_and_services_and_no_namespace() -> None:
    """So that it can be applied to any."""
    found = [(each["kind"], each["metadata"]["name"]) for each in DOCUMENTS]

    assert sorted(found) == [
        *(("Deployment", f"{name}-deployment") for name in ("be1", "be2", "fe")),
        *(("Service", f"{name}-srv") for name in ("be1", "be2", "fe")),
    ]
    assert [each for each in DOCUMENTS if "namespace" in each["metadata"]] == []


@pytest.mark.parametrize("name", deployments())
def test_a_deployment_selects_its_own_pods_and_only_the_front_end_asks_for_something(name: str) -> None:
    """One label and one annotation; the servers are ordinary ones."""
    template = deployments()[name]["spec"]["template"]
    selected = deployments()[name]["spec"]["selector"]["matchLabels"]

    assert selected.items() <= template["metadata"]["labels"].items()
    assert (template["metadata"].get("annotations"), template["metadata"]["labels"].get(names.INJECT)) == (
        ({names.MODE: "proxyless"}, "enabled") if name == "fe-deployment" else (None, None)
    )


def test_the_front_end_gets_a_bootstrap_and_no_other_container() -> None:
    """Nothing in the manifest stands in the way."""
    template = deployments()["fe-deployment"]["spec"]["template"]

    outcome = admit_proxyless(read_pod(template, NAMESPACE), SidecarSettings(), "a CA")

    written = [each["value"]["name"] for each in outcome.operations if each["path"] == "/spec/containers/0/env/-"]
    assert (outcome.injected, outcome.warnings, written[-1]) == (True, (), BOOTSTRAP)


@pytest.mark.parametrize("name", ["be1-srv", "be2-srv"])
def test_the_names_that_it_dials_lead_to_the_servers(name: str) -> None:
    """As `xds:///NAME`, without a port."""
    dialled = parse(name, NAMESPACE, "cluster.local")

    assert dialled is not None
    assert meaning(dialled, NAMESPACE, build_catalog(DOCUMENTS, default_namespace=NAMESPACE)).cluster == (
        f"{name}.default:50051"
    )
