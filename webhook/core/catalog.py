"""Everything known of Services and Namespaces: one immutable value, replaced whole."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from webhook.core import names
from webhook.core.annotations import label_warnings
from webhook.core.model import JsonObject, Namespace, Problem, Service, ServiceRef
from webhook.core.named_ports import NamedPorts
from webhook.core.services import read_service
from webhook.core.workloads import DEFAULT_NAMESPACE

_EVERYBODY: Final = "*"


@dataclass(frozen=True, eq=False)
class Catalog:
    """The Services and Namespaces of a cluster or of some files, indexed for the questions a Pod asks."""

    services: Mapping[ServiceRef, Service] = field(default_factory=dict)
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    _own: Mapping[str, tuple[Service, ...]] = field(init=False, repr=False)
    _exported: Mapping[str, tuple[Service, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Build the indices; the order is by name, so that the same Services give the same bytes."""
        own: defaultdict[str, list[Service]] = defaultdict(list)
        exported: defaultdict[str, list[Service]] = defaultdict(list)
        for ref in sorted(self.services):
            service = self.services[ref]
            own[ref.namespace].append(service)
            for namespace in service.export_to:
                exported[namespace].append(service)
        object.__setattr__(self, "_own", MappingProxyType({key: tuple(value) for key, value in own.items()}))
        object.__setattr__(self, "_exported", MappingProxyType({key: tuple(value) for key, value in exported.items()}))

    @cached_property
    def version(self) -> str:
        """Give a digest of the content: opaque, compared for equality only; two replicas give the same."""
        parts = [_ordered(self.services[ref]) for ref in sorted(self.services)]
        parts += [_ordered(self.namespaces[name]) for name in sorted(self.namespaces)]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def own(self, namespace: str) -> tuple[Service, ...]:
        """Give the Services of a namespace, by name."""
        return self._own.get(namespace, ())

    def exported(self, namespace: str) -> tuple[Service, ...]:
        """Give other namespaces' Services that this one may see, by namespace and name."""
        named, everywhere = self._exported.get(namespace, ()), self._exported.get(_EVERYBODY, ())
        both = {service.ref: service for service in (*everywhere, *named) if service.ref.namespace != namespace}
        return tuple(both[ref] for ref in sorted(both))

    def namespace(self, name: str) -> Namespace:
        """Give what is known of a Namespace, which may be only its name."""
        return self.namespaces.get(name) or Namespace(name)


def _ordered(value: Service | Namespace) -> list[Any]:
    """Give the fields of a value; sets and objects, which have no order of their own, sorted."""
    found = (getattr(value, each.name) for each in fields(value))
    return [
        sorted(each) if isinstance(each, frozenset) else sorted(each.items()) if isinstance(each, Mapping) else each
        for each in found
    ]


def build_catalog(objects: Iterable[Any], *, default_namespace: str = DEFAULT_NAMESPACE) -> Catalog:
    """Build a catalog from Kubernetes objects.

    Reads Services, Namespaces, EndpointSlices and, for named target ports, workloads; passes over all other
    kinds. What is wrong with an object is left out and stands in `problems`; nothing is raised.
    """
    kept = [obj for obj in objects if isinstance(obj, dict)]
    named = NamedPorts(kept, default_namespace=default_namespace)
    services: dict[ServiceRef, Service] = {}
    problems: list[Problem] = []
    for document in (obj for obj in kept if _is(obj, "Service")):
        service, found = read_service(document, named, default_namespace=default_namespace)
        problems += found
        if service is not None and services.setdefault(service.ref, service) is not service:
            where = f"Service {service.ref.namespace}/{service.ref.name}"
            problems.append(Problem("duplicate", where, "stands there twice, the first one counts"))
    namespaces = [_namespace(obj) for obj in kept if _is(obj, "Namespace")]
    problems += [problem for namespace in namespaces for problem in _label_problems(namespace)]
    return Catalog(services, {namespace.name: namespace for namespace in namespaces}, tuple(problems))


def _is(obj: JsonObject, kind: str) -> bool:
    return obj.get("kind") == kind and obj.get("apiVersion") == "v1"


def _namespace(document: JsonObject) -> Namespace:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Namespace(str(metadata.get("name")), _texts(metadata.get("labels")), _texts(metadata.get("annotations")))


def _texts(values: Any) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def _label_problems(namespace: Namespace) -> list[Problem]:
    where = f"Namespace {namespace.name}"
    warnings = label_warnings(namespace.labels, names.LABELS_ON_NAMESPACES)
    return [Problem("bad-label", where, warning) for warning in warnings]
