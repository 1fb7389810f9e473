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
        return bool(self.near)


def concern(before: Catalog, after: Catalog, changed: Collection[ServiceRef] | None = None) -> Concern:
    """Compare two catalogs; only the Services in `changed`, where it is known that all others are the same.

    What other namespaces see of a Service are its upstreams; its selector and target ports also shape the ingress
    of Pods in its own. Labels of Namespaces change nothing that a live Pod carries.
    """
    old, new = before.services, after.services
    refs = old.keys() | new.keys() if changed is None else changed
    pairs = [(old.get(ref), new.get(ref)) for ref in refs]
    # Those that did not change are mostly the very same object; comparing all by content would cost more.
    forms = [form for one, other in pairs if one is not other and one != other for form in (one, other) if form]
    seen_by = frozenset(name for form in forms if form.upstreams for name in form.export_to)
    near = frozenset(form.ref.namespace for form in forms)
    return Concern(near, seen_by - near - {_EVERYBODY}, _EVERYBODY in seen_by)
