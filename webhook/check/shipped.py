"""What ships: the objects of `deploy/base`, as the cluster should hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from webhook.check.model import Unknown
from webhook.check.place import Place
from webhook.core import names
from webhook.core.model import JsonObject
from webhook.data import data_folder


class Permission(NamedTuple):
    """One verb on one resource, as RBAC has it."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    """Empty: in the whole cluster."""
    name: str = ""
    """Empty: whatever its name."""

    def __str__(self) -> str:
        """Give it as people read it."""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        name = f" {self.name!r}" if self.name else ""
        return f"{self.verb} {resource}{name}{f' in {self.namespace}' if self.namespace else ''}"


@dataclass(frozen=True, slots=True)
class Shipped:
    """The objects that ship, by kind and name."""

    objects: Mapping[tuple[str, str], JsonObject]

    def get(self, kind: str, name: str) -> JsonObject:
        """Give one object; raises Unknown where none of this name ships."""
        if (kind, name) not in self.objects:
            raise Unknown(f"no {kind} {name!r} ships with this version")
        return self.objects[kind, name]

    def of_kind(self, kind: str) -> tuple[JsonObject, ...]:
        """Give all objects of a kind, by name."""
        return tuple(self.objects[key] for key in sorted(self.objects) if key[0] == kind)

    def permissions(self, account: str, place: Place) -> tuple[Permission, ...]:
        """Give what the roles bound to a ServiceAccount of ours allow, in order, each once."""
        found: list[Permission] = []
        for binding in ("ClusterRoleBinding", "RoleBinding"):
            namespace = "" if binding == "ClusterRoleBinding" else place.namespace
            for bound in self.of_kind(binding):
                if _binds(bound, account, place):
                    role = bound.get("roleRef") or {}
                    rules = self.get(str(role.get("kind")), str(role.get("name"))).get("rules") or ()
                    found += _permissions(rules, namespace)
        return tuple(dict.fromkeys(found))


def _binds(binding: JsonObject, account: str, place: Place) -> bool:
    wanted = ("ServiceAccount", account, place.namespace)
    subjects = binding.get("subjects") or ()
    return any((one.get("kind"), one.get("name"), one.get("namespace")) == wanted for one in subjects)


def _permissions(rules: Iterable[JsonObject], namespace: str) -> Iterator[Permission]:
    for rule in rules:
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    for verb in rule.get("verbs") or ():
                        yield Permission(verb, group, resource, namespace, name)


def load_shipped(place: Place) -> Shipped:
    """Read `deploy/base`; raises Unknown where the package was installed without it."""
    try:
        folder = data_folder("deploy") / "base"
    except FileNotFoundError as error:
        raise Unknown(str(error)) from error
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    return parse_shipped(texts, place)


def parse_shipped(texts: Iterable[str], place: Place) -> Shipped:
    """Read manifests as they would stand in the namespace of an installation."""
    objects: dict[tuple[str, str], Any] = {}
    for text in texts:
        # The name stands in selectors, subjects and expressions alike.
        there = text.replace(names.SYSTEM_NAMESPACE, place.namespace)
        for document in yaml.load_all(there, Loader=yaml.CSafeLoader):
            if isinstance(document, dict) and isinstance(document.get("metadata"), dict):
                objects[str(document.get("kind")), str(document["metadata"].get("name"))] = document
    return Shipped(objects)
