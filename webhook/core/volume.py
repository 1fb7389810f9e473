"""The volume by which a Pod's annotations become the files of its sidecar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from webhook.core import names
from webhook.core.model import Json, JsonObject
from webhook.core.pod import Pod

MODE: Final = 0o444
_TOKEN_SECONDS: Final = 3600
"""How long a token is good for; the kubelet has a new one after four fifths of that."""
TOKEN: Final[Json] = {
    "serviceAccountToken": {
        "audience": names.TOKEN_AUDIENCE,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": names.TOKEN_FILE,
    }
}
"""The source of a projected volume by which a Pod can say who it is."""


def volume(annotations: Mapping[str, str]) -> Json:
    """Give the volume for the annotations that a Pod gets; with an identity, a token of the Pod's is in it too.

    One volume, so that what it holds changes as a whole, and so that the sidecar has to look in one place only.
    """
    return _volume(tuple(annotation for annotation in names.FILES if annotation in annotations))


@lru_cache(maxsize=16)
def _volume(annotations: tuple[str, ...]) -> Json:
    items = [
        {"path": names.FILES[each], "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{each}']"}}
        for each in annotations
    ]
    if names.IDENTITY not in annotations:
        return {"name": names.VOLUME, "downwardAPI": {"defaultMode": MODE, "items": items}}
    sources = [{"downwardAPI": {"items": items}}, TOKEN]
    return {"name": names.VOLUME, "projected": {"defaultMode": MODE, "sources": sources}}


def is_our_volume(found: JsonObject) -> bool:
    """Say whether a volume is the one that projects our annotations."""
    wanted = f"metadata.annotations['{names.BOOTSTRAP}']"
    return found["name"] == names.VOLUME and any(field == wanted for field in _projected(found))


def carries_token(pod: Pod) -> bool:
    """Say whether a Pod's sidecar can say who it is."""
    return any(
        isinstance(source.get("serviceAccountToken"), dict)
        for each in pod.volumes
        if is_our_volume(each)
        for source in _sources(each)
    )


def _projected(found: JsonObject) -> Iterable[Any]:
    """Give the path of every field that a volume projects."""
    for source in (found, *_sources(found)):
        downward = source.get("downwardAPI")
        items = downward.get("items") if isinstance(downward, dict) else None
        fields = (item.get("fieldRef") for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
        yield from (field.get("fieldPath") for field in fields if isinstance(field, dict))


def _sources(found: JsonObject) -> list[JsonObject]:
    projected = found.get("projected")
    sources = projected.get("sources") if isinstance(projected, dict) else None
    return [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
