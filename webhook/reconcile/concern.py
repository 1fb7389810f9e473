"""Which namespaces a change of the catalog concerns: pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from webhook.core.catalog import Catalog
from webhook.core.model import ServiceRef

_EVERYBODY: Final = "*"


@dataclass(frozen=True, slots=True)
class Concern:
    """Namespaces whose Pods may have to carry something else."""

    near: frozenset[str] = frozenset()
    """Those of the changed Services."""
    far: frozenset[str] = frozenset()
    """Others that see one of them, or saw it before."""
    everywhere: bool = False
    """Every namespace sees one of them, or did."""

    def __bool__(self) -> bool:
        """Say whether there is anything to do."""
        return bool(self.near) or self.everywhere


def concern(before: Catalog, after: Catalog, changed: Collection[ServiceRef] | None = None) -> Concern:
    """Compare two catalogs; only the Services in `changed`, where it is known that all others are the same.

    What other namespaces see of a Service are its upstreams; its selector and target ports also shape the ingress
    of Pods in its own. A Namespace's annotations say where endpoints come from; its labels change nothing that a live
    Pod carries.
    """
    old, new = before.services, after.services
    refs = old.keys() | new.keys() if changed is None else changed
    pairs = [(old.get(ref), new.get(ref)) for ref in refs]
    # Those that did not change are mostly the very same object; comparing all by content would cost more.
    forms = [form for one, other in pairs if one is not other and one != other for form in (one, other) if form]
    seen_by = frozenset(name for form in forms if form.upstreams or form.pushed for name in form.export_to)
    near = frozenset(form.ref.namespace for form in forms) | _others(before, after)
    everywhere = _EVERYBODY in seen_by or before.trust != after.trust
    return Concern(near, seen_by - near - {_EVERYBODY}, everywhere)


def _others(before: Catalog, after: Catalog) -> frozenset[str]:
    """Give the Namespaces whose annotations have changed."""
    old, new = before.namespaces, after.namespaces
    if old is new:
        return frozenset()
    return frozenset(
        name
        for name in old.keys() | new.keys()
        if before.namespace(name).annotations != after.namespace(name).annotations
    )
