"""Where two documents differ, and what of an injected Pod is the user's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from webhook.core import names

OUR_ADDRESSES = tuple(f"127.{second}." for second in range(64, 128))
"""127.64.0.0/10."""


def differences(one: Any, other: Any) -> list[str]:
    """Give the dotted path of every value that is not the same in both."""
    return list(_differences(one, other, ""))


def _differences(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _differences(one.get(key, ...), other.get(key, ...), f"{where}.{key}" if where else str(key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{where}.{index}")
    elif type(one) is not type(other) or one != other:
        yield where


def without_ours(document: Any) -> Any:
    """Give a Pod without what we put in; null and empty are as absent, as for Kubernetes."""
    left = copy.deepcopy(document)
    metadata, spec = left.get("metadata") or {}, left["spec"]
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {key: text for key, text in annotations.items() if key not in names.WRITTEN}
    metadata["labels"] = {key: text for key, text in (metadata.get("labels") or {}).items() if key != names.INJECTED}
    spec["initContainers"] = [each for each in spec.get("initContainers") or [] if each["name"] != names.SIDECAR]
    spec["volumes"] = [each for each in spec.get("volumes") or [] if each["name"] != names.VOLUME]
    # An author's own are at no address of ours.
    aliases = spec.get("hostAliases") or []
    spec["hostAliases"] = [each for each in aliases if not str(each.get("ip")).startswith(OUR_ADDRESSES)]
    return {**left, "metadata": {key: value for key, value in metadata.items() if value}, "spec": spec}
