"""What our accounts ask the API server for, by its own audit log, and what the shipped roles allow them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.cluster.kit.identity import write_document
from tests.cluster.kit.install import NAMESPACE
from tests.cluster.kit.rest import Json

_ROLES: Final = ("ClusterRole", "Role")


class Right(NamedTuple):
    """One thing that an account may do, or has done."""

    account: str
    verb: str
    group: str
    resource: str
    """With its subresource, as RBAC writes it."""


def audit_flags(folder: Path) -> list[str]:
    """Give the API server's flags for a log of everything that our accounts ask for."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = {"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]}
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    path = write_document(folder / "audit-policy.yaml", {**policy, "rules": [ours, {"level": "None"}]})
    return [f"--audit-policy-file={path}", f"--audit-log-path={_log(folder)}"]


def asked(folder: Path) -> set[Right]:
    """Give what was asked for, allowed or not."""
    return {right for right, _ in _events(folder)}


def refused(folder: Path) -> set[Right]:
    """Give what was asked for and forbidden."""
    return {right for right, code in _events(folder) if code == 403}


def granted(objects: Iterable[Json]) -> set[Right]:
    """Give what the roles among some objects allow; a role's name is that of its account."""
    return {
        Right(one["metadata"]["name"], verb, group, resource)
        for one in objects
        if one["kind"] in _ROLES
        for rule in one["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def _events(folder: Path) -> Iterator[tuple[Right, int]]:
    for line in _log(folder).read_text().splitlines():
        event: Any = json.loads(line)
        # The version and the like are open to everybody and belong to no resource.
        if subject := event.get("objectRef"):
            resource = "/".join(filter(None, (subject["resource"], subject.get("subresource"))))
            account = event["user"]["username"].rpartition(":")[2]
            right = Right(account, event["verb"], subject.get("apiGroup", ""), resource)
            yield right, event.get("responseStatus", {}).get("code", 0)


def _log(folder: Path) -> Path:
    return folder / "audit.log"
