"""The way back: the operations that take out of a Pod what `inject` put in, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from webhook.core import names
from webhook.core.capture import is_our_alias
from webhook.core.decide import is_our_container
from webhook.core.model import JsonObject
from webhook.core.outcome import Operation
from webhook.core.patch import pointer
from webhook.core.pod import Pod
from webhook.core.proxyless import proxyless_paths
from webhook.core.volume import is_our_volume

_Path = tuple[str | int, ...]
_METADATA: Final = (("labels", (names.INJECTED,)), ("annotations", names.WRITTEN))


def eject(pod: Pod) -> tuple[Operation, ...]:
    """Give the operations that take what we put in out of a Pod or pod template, with a sidecar or without.

    They are of RFC 6902 and apply in order; none where nothing of ours is there. A map or list that becomes empty
    goes too, since `inject` makes what it needs: one that its author wrote empty equals an absent one, as it does
    for Kubernetes. What only bears our names (a container of another shape, say) is the author's and stays.
    """
    paths = (*_of_metadata(pod), *_of_spec(pod), *proxyless_paths(pod))
    return tuple({"op": "remove", "path": pointer(*path)} for path in paths)


def _of_metadata(pod: Pod) -> tuple[_Path, ...]:
    metadata = pod.document.get("metadata") or {}
    paths = [list(_of_map(metadata.get(part) or {}, ours, ("metadata", part))) for part, ours in _METADATA]
    emptied = {part for (part, _), found in zip(_METADATA, paths, strict=True) if found == [("metadata", part)]}
    if emptied and emptied == metadata.keys():
        return (("metadata",),)
    return tuple(path for found in paths for path in found)


def _of_map(texts: Mapping[str, str], ours: Iterable[str], path: _Path) -> Iterator[_Path]:
    found = [key for key in ours if key in texts]
    if found and len(found) == len(texts):
        yield path
    else:
        yield from ((*path, key) for key in found)


def _of_spec(pod: Pod) -> Iterator[_Path]:
    yield from _of_list(pod.init_containers, is_our_container, ("spec", "initContainers"))
    yield from _of_list(pod.volumes, is_our_volume, ("spec", "volumes"))
    yield from _of_list(pod.host_aliases, is_our_alias, ("spec", "hostAliases"))


def _of_list(items: Sequence[JsonObject], ours: Callable[[JsonObject], bool], path: _Path) -> Iterator[_Path]:
    found = [index for index, item in enumerate(items) if ours(item)]
    if found and len(found) == len(items):
        yield path
    else:
        # From the end, so that no removal moves what the next one means.
        yield from ((*path, index) for index in reversed(found))
