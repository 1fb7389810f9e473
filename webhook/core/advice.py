"""What in a Pod would keep its calls from the sidecar, though nothing is wrong with it: warnings only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from webhook.core.model import JsonObject
from webhook.core.pod import Pod

_PROXIES: Final = ("grpc_proxy", "http_proxy", "https_proxy")
_EXCEPTIONS: Final = ("no_grpc_proxy", "no_proxy")


def http_proxy_warnings(pod: Pod) -> Iterator[str]:
    """Warn of containers whose gRPC would dial even localhost through an HTTP proxy.

    gRPC for Python and Node reads these variables, lowercase only.
    """
    for container in pod.containers:
        values = _variables(container)
        proxy = next((name for name in _PROXIES if values.get(name)), None)
        excepted = ",".join(str(values.get(name) or "") for name in _EXCEPTIONS)
        if proxy and "localhost" not in excepted and excepted.strip(",") != "*":
            yield (
                f"container {container['name']!r} sets {proxy}: gRPC would dial localhost through it; "
                "add localhost,127.0.0.1 to no_proxy"
            )


def _variables(container: JsonObject) -> dict[Any, Any]:
    env = container.get("env")
    wanted = (*_PROXIES, *_EXCEPTIONS)
    if not isinstance(env, list):
        return {}
    return {
        entry["name"]: entry.get("value") or ""
        for entry in env
        if isinstance(entry, dict) and entry.get("name") in wanted
    }
