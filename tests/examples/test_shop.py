"""The shop: ordinary Services, dialled by their names, and nothing of ours outside the Namespace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

TEXT = (Path(__file__).parents[2] / "examples" / "shop.yaml").read_text()
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(TEXT))


def named(kind: str) -> dict[str, dict[str, Any]]:
    """Give the documents of a kind by name."""
    return {document["metadata"]["name"]: document for document in DOCUMENTS if document["kind"] == kind}


def dialled() -> dict[str, str]:
    """Give what the front end reads from its environment."""
    [container] = named("Deployment")["front-end"]["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def test_a_dozen_grpc_services_have_an_address_and_two_pods_each() -> None:
    """None is headless; each selects the pods of the Deployment that has its name."""
    services, deployments = named("Service"), named("Deployment")
    servers = set(services) - {"front-end"}

    assert len(servers) == 12
    assert set(services) == set(deployments)
    assert [name for name in services if "clusterIP" in services[name]["spec"]] == []
    assert {deployments[name]["spec"]["replicas"] for name in servers} == {2}
    for name in services:
        template = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert services[name]["spec"]["selector"] == template == deployments[name]["spec"]["selector"]["matchLabels"]


def test_the_front_end_dials_ten_of_them_by_name_and_port() -> None:
    """Each by a port that its Service has."""
    found = {address.partition(":")[0]: int(address.partition(":")[2]) for address in dialled().values()}

    assert len(found) == 10
    assert {name: named("Service")[name]["spec"]["ports"][0]["port"] for name in found} == found
    assert set(dialled()) == {f"{name.upper()}_ADDR" for name in found}


def test_only_the_namespace_knows_of_us() -> None:
    """By a label and two annotations."""
    namespace = named("Namespace")["shop"]["metadata"]

    assert namespace["labels"] == {"evenkeel.dev/inject": "enabled"}
    assert namespace["annotations"] == {"evenkeel.dev/capture": "enabled", "evenkeel.dev/discovery": "xds"}
    rest = [yaml.safe_dump(document) for document in DOCUMENTS if document["kind"] != "Namespace"]
    assert re.findall(r"(?i)envoy|sidecar|proxy|evenkeel|inject|localhost", "".join(rest)) == []
