"""The namespace that a command means where it is given none: that of the credentials, as kubectl has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from webhook.core.workloads import DEFAULT_NAMESPACE
from webhook.kube.config import Access, own_namespace

_UNREADABLE: Final = (OSError, UnicodeDecodeError, yaml.YAMLError)


def usual_namespace(access: Access) -> str:
    """Give the namespace of a kubeconfig's context, or that of the Pod this runs in; else `default`.

    What is wrong with a kubeconfig is not told here: connecting does.
    """
    if access.kubeconfig is None:
        return own_namespace(access.account) or DEFAULT_NAMESPACE
    configs = list(_read(access.kubeconfig))
    wanted = access.context or next((one["current-context"] for one in configs if one.get("current-context")), None)
    for config in configs:
        for entry in config.get("contexts") or ():
            # Of two files with one name the first counts.
            if isinstance(entry, dict) and entry.get("name") == wanted:
                context = entry.get("context")
                return str((context if isinstance(context, dict) else {}).get("namespace") or DEFAULT_NAMESPACE)
    return DEFAULT_NAMESPACE


def _read(paths: str) -> Iterator[dict[str, Any]]:
    for path in filter(None, paths.split(os.pathsep)):
        try:
            found = yaml.load(Path(path).expanduser().read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        except _UNREADABLE:
            continue
        if isinstance(found, dict):
            yield found
