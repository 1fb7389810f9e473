"""Everything known of Services and Namespaces: one immutable value, replaced whole."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from webhook.core import names
from webhook.core.annotations import label_warnings, namespace_words
from webhook.core.authorities import authorities, bundles, is_ours
from webhook.core.model import JsonObject, Namespace, Problem, Service, ServiceRef
from webhook.core.named_ports import NamedPorts
from webhook.core.services import read_service
from webhook.core.workloads import DEFAULT_NAMESPACE

_EVERYBODY: Final = "*"
_DIGESTS: Final = 2**256
_CONFIGURATION: Final = "MutatingWebhookConfiguration"
_FEW: Final = 32
"""Up to so many changes of one namespace are put in their places one by one; more are sorted in."""

_Change = tuple[Service | None, Service | None]
"""What a Service was, and what it is."""


class _Index(NamedTuple):
    """Who sees which Services, each group ordered by name, so that the same Services give the same bytes."""

    own: Mapping[str, tuple[Service, ...]] = MappingProxyType({})
    exported: Mapping[str, tuple[Service, ...]] = MappingProxyType({})
    upstreams: int = 0

    def changed(self, changes: Mapping[ServiceRef, _Change]) -> _Index:
        """Give the index after some changes; it shares the groups that they do not touch."""
        own: defaultdict[str, dict[ServiceRef, Service | None]] = defaultdict(dict)
        exported: defaultdict[str, dict[ServiceRef, Service | None]] = defaultdict(dict)
        upstreams = self.upstreams
        for ref, (old, new) in changes.items():
            own[ref.namespace][ref] = new
            upstreams += (len(new.upstreams) if new else 0) - (len(old.upstreams) if old else 0)
            for namespace in old.export_to if old else ():
                exported[namespace][ref] = None
            for namespace in new.export_to if new else ():
                exported[namespace][ref] = new
        return _Index(_regrouped(self.own, own), _regrouped(self.exported, exported), upstreams)


def _regrouped(
    groups: Mapping[str, tuple[Service, ...]], changes: Mapping[str, Mapping[ServiceRef, Service | None]]
) -> Mapping[str, tuple[Service, ...]]:
    if not changes:
        return groups
    copy = dict(groups)
    for namespace, each in changes.items():
        copy[namespace] = _spliced(copy.get(namespace, ()), each)
        if not copy[namespace]:
            del copy[namespace]
    return MappingProxyType(copy)


_by_ref: Final = attrgetter("ref")


def _spliced(group: tuple[Service, ...], changes: Mapping[ServiceRef, Service | None]) -> tuple[Service, ...]:
    """Put Services in their places in an ordered group, and take out those that are None."""
    if len(changes) > _FEW:
        kept = (service for service in group if service.ref not in changes)
        return tuple(sorted((*kept, *(new for new in changes.values() if new is not None)), key=_by_ref))
    found = list(group)
    for ref, new in changes.items():
        at = bisect_left(found, ref, key=_by_ref)
        there = at < len(found) and found[at].ref == ref
        found[at : at + there] = [] if new is None else [new]
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Catalog:
    """The Services and Namespaces of a cluster or of some files, indexed for the questions a Pod asks."""

    services: Mapping[ServiceRef, Service] = field(default_factory=dict)
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    trust: str = ""
    """The CAs that sign the certificate of `evenkeel xds`, PEM; empty where they are not known."""
    _given: tuple[_Index, int] | None = field(default=None, repr=False)
    """Index and digest where a builder has them already; else they are made of the rest."""

    @cached_property
    def _index(self) -> _Index:
        if self._given is not None:
            return self._given[0]
        return _Index().changed({ref: (None, service) for ref, service in self.services.items()})

    @cached_property
    def version(self) -> str:
        """Give a digest of the content: opaque, compared for equality only; two replicas give the same."""
        if self._given is not None:
            return f"{self._given[1]:064x}"[:16]
        total = sum(map(_digest, self.services.values())) + sum(map(_digest, self.namespaces.values()))
        return f"{total % _DIGESTS:064x}"[:16]

    @property
    def upstream_count(self) -> int:
        """Give the number of upstreams of all Services."""
        return self._index.upstreams

    def own(self, namespace: str) -> tuple[Service, ...]:
        """Give the Services of a namespace, by name; the same tuple as long as none of them changes."""
        return self._index.own.get(namespace, ())

    def exported(self, namespace: str) -> tuple[Service, ...]:
        """Give other namespaces' Services that this one may see, by namespace and name."""
        named, everywhere = self._index.exported.get(namespace, ()), self._index.exported.get(_EVERYBODY, ())
        first, end = (bisect_left(everywhere, (namespace, text), key=_by_ref) for text in ("", "\U0010ffff"))
        others = everywhere if first == end else everywhere[:first] + everywhere[end:]
        if not named:
            return others
        return _spliced(others, {service.ref: service for service in named})

    def namespace(self, name: str) -> Namespace:
        """Give what is known of a Namespace, which may be only its name."""
        return self.namespaces.get(name) or Namespace(name)


def _digest(value: Service | Namespace) -> int:
    """Give a digest of a value; their sum is one of all, whatever their order, and follows a change at once."""
    text = repr((type(value).__name__, _ordered(value)))
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest())


def _ordered(value: Service | Namespace) -> list[Any]:
    """Give the fields of a value; sets and objects, which have no order of their own, sorted."""
    found = (getattr(value, each.name) for each in fields(value))
    return [
        sorted(each) if isinstance(each, frozenset) else sorted(each.items()) if isinstance(each, Mapping) else each
        for each in found
    ]


class CatalogBuilder:
    """Follows Services, Namespaces and EndpointSlices as they come, change and go, and gives a catalog when asked.

    It is the one that build_catalog gives of the objects that there are, but costs what has changed: catalogs share
    the rest.
    """

    def __init__(self, document: Callable[[ServiceRef], JsonObject | None]) -> None:
        """Take how to look up a Service's manifest, or None where there is none: it may be asked for more than once."""
        self._document = document
        self._named = NamedPorts()
        self._unread: dict[ServiceRef, None] = {}
        self._services: dict[ServiceRef, Service] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._problems: dict[ServiceRef | str, tuple[Problem, ...]] = {}
        self._digest = 0
        self._changes: dict[ServiceRef, _Change] = {}
        self._changed_namespaces: set[str] = set()
        self._trust = ""
        self._told = True
        """Whether the last catalog has the problems of now."""
        self._catalog = Catalog(_given=(_Index(), 0))

    def service(self, ref: ServiceRef) -> None:
        """Hear that a Service has come, changed or gone; it is read later."""
        self._unread[ref] = None

    def namespace(self, name: str, document: JsonObject | None) -> None:
        """Put a Namespace in its place; None takes it away."""
        known, found = self._namespaces.get(name), None if document is None else _namespace(document)
        self._report(name, () if found is None else tuple(_namespace_problems(found)))
        if found != known:
            self._count(known, found)
            self._changed_namespaces.add(name)
            _put(self._namespaces, name, found)

    def trust(self, pem: str) -> None:
        """Hear who signs the certificate of `evenkeel xds`."""
        self._trust = pem

    def slice(self, key: Hashable, document: JsonObject | None) -> None:
        """Put an EndpointSlice in its place; None takes it away."""
        self._unread.update(dict.fromkeys(self._named.put_slice(key, document)))

    def read(self, most: int) -> bool:
        """Read up to so many of the changed Services, and say whether some are left."""
        while self._unread and most > 0:
            most -= 1
            self._read(next(iter(self._unread)))
        return bool(self._unread)

    def build(self) -> tuple[Catalog, frozenset[ServiceRef], frozenset[str]]:
        """Give the catalog, and the Services and Namespaces that are others than in the one before.

        Where nothing at all has changed it is the one before.
        """
        self.read(len(self._unread))
        before, services, namespaces = self._catalog, frozenset(self._changes), frozenset(self._changed_namespaces)
        problems = before.problems if self._told else tuple(chain.from_iterable(self._problems.values()))
        if services or namespaces or problems != before.problems or self._trust != before.trust:
            self._catalog = Catalog(
                MappingProxyType(dict(self._services)) if services else before.services,
                MappingProxyType(dict(self._namespaces)) if namespaces else before.namespaces,
                problems,
                self._trust,
                (before._index.changed(self._changes), self._digest),  # noqa: SLF001 - this module's own
            )
        self._changes, self._told = {}, True
        self._changed_namespaces.clear()
        return self._catalog, services, namespaces

    def _read(self, ref: ServiceRef) -> None:
        del self._unread[ref]
        document = self._document(ref)
        found, problems = (None, ()) if document is None else read_service(document, self._named)
        self._report(ref, problems)
        known = self._services.get(ref)
        if found != known:
            self._count(known, found)
            first, _ = self._changes.pop(ref, (known, None))
            if found != first:  # it may have become what it was
                self._changes[ref] = (first, found)
            _put(self._services, ref, found)

    def _report(self, where: ServiceRef | str, problems: tuple[Problem, ...]) -> None:
        if self._problems.get(where, ()) != problems:
            self._told = False
            _put(self._problems, where, problems or None)

    def _count(self, old: Service | Namespace | None, new: Service | Namespace | None) -> None:
        self._digest += (_digest(new) if new else 0) - (_digest(old) if old else 0)
        self._digest %= _DIGESTS


def _put(holder: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        holder.pop(key, None)
    else:
        holder[key] = value


def build_catalog(objects: Iterable[Any], *, default_namespace: str = DEFAULT_NAMESPACE) -> Catalog:
    """Build a catalog from Kubernetes objects.

    Reads Services, Namespaces, EndpointSlices, our webhook configuration and, for named target ports, workloads;
    passes over all other kinds. What is wrong with an object is left out and stands in `problems`; nothing is raised.
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
    problems += [problem for namespace in namespaces for problem in _namespace_problems(namespace)]
    configurations = [obj for obj in kept if obj.get("kind") == _CONFIGURATION and is_ours(obj)]
    trust = authorities(text for each in configurations for text in bundles(each))
    return Catalog(services, {namespace.name: namespace for namespace in namespaces}, tuple(problems), trust)


def _is(obj: JsonObject, kind: str) -> bool:
    return obj.get("kind") == kind and obj.get("apiVersion") == "v1"


def _namespace(document: JsonObject) -> Namespace:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Namespace(str(metadata.get("name")), _texts(metadata.get("labels")), _texts(metadata.get("annotations")))


def _texts(values: Any) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def _namespace_problems(namespace: Namespace) -> list[Problem]:
    where = f"Namespace {namespace.name}"
    warnings = label_warnings(
        namespace.labels, names.LABELS_ON_NAMESPACES, known_annotations=names.ANNOTATIONS_ON_NAMESPACES
    )
    _, wrong = namespace_words(namespace.annotations)
    return [
        *(Problem("bad-label", where, warning) for warning in warnings),
        *(Problem("bad-annotation", where, message) for message in wrong),
    ]
