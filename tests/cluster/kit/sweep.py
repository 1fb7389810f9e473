"""Everything in the cluster that belongs to Evenkeel, looked for in every kind that the API server knows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from tests.cluster.kit.install import NAMESPACE
from tests.cluster.kit.pod_status import NODE_NAME
from tests.cluster.kit.rest import Json, Rest, RestError

_PART_OF: Final = "app.kubernetes.io/name"
_OURS: Final = "evenkeel"
_TESTS: Final = (f"nodes/{NODE_NAME}", "namespaces/evenkeel-probe")
"""What the tests themselves have made."""
_GONE: Final = (404, 405)


async def ours(rest: Rest) -> set[str]:
    """Give what has our name or label or lies in our namespace, as PLURAL/NAME or PLURAL/NAMESPACE/NAME."""
    paths = [path async for path in _collections(rest)]
    lists = await asyncio.gather(*(_listed(rest, path) for path in paths))
    found = {name for path, items in zip(paths, lists, strict=True) for name in _ours(path, items)}
    return found.difference(_TESTS)


async def _collections(rest: Rest) -> Any:
    """Give the path of every collection, of each group's preferred version."""
    groups = (await rest.get("/apis"))["groups"]
    for root in ("/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
        for resource in (await rest.get(root))["resources"]:
            if "list" in resource["verbs"]:
                yield f"{root}/{resource['name']}"


async def _listed(rest: Rest, path: str) -> list[Json]:
    try:
        found: list[Json] = (await rest.get(path))["items"]
    except RestError as error:
        # Kinds that are being taken away, or that cannot be listed over all namespaces.
        if error.status not in _GONE:
            raise
        return []
    return found


def _ours(path: str, items: list[Json]) -> Iterator[str]:
    for item in items:
        metadata = item["metadata"]
        namespace = metadata.get("namespace", "")
        named = metadata["name"].startswith(_OURS)
        labelled = (metadata.get("labels") or {}).get(_PART_OF) == _OURS
        if named or labelled or namespace == NAMESPACE:
            yield "/".join(filter(None, (path.rpartition("/")[2], namespace, metadata["name"])))
