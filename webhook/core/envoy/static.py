"""The sidecar's four files as one static bootstrap, as `envoy --mode validate` can check it.

Validation of Envoy reads only the bootstrap; what is read from files would pass unseen.
"""

from __future__ import annotations

from typing import Any

from webhook.core.model import Json


def as_static(bootstrap: Json, clusters: Json, routes: Json, listeners: Json) -> Json:
    """Give one self-contained bootstrap with the same listeners, routes and clusters.

    Takes the parsed content of the four files; none is changed.
    """
    static = bootstrap.get("static_resources") or {}
    by_name = {route["name"]: _untyped(route) for route in routes["resources"]}
    inlined = [_inline(_untyped(listener), by_name) for listener in listeners["resources"]]
    return {
        **{key: value for key, value in bootstrap.items() if key != "dynamic_resources"},
        "static_resources": {
            **static,
            "listeners": [*static.get("listeners", []), *inlined],
            "clusters": [*static.get("clusters", []), *map(_untyped, clusters["resources"])],
        },
    }


def _untyped(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}


def _inline(node: Any, routes: dict[str, Any]) -> Any:
    """Replace every `rds` by the route configuration that it names."""
    if isinstance(node, list):
        return [_inline(item, routes) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        "route_config" if key == "rds" else key: routes[value["route_config_name"]]
        if key == "rds"
        else _inline(value, routes)
        for key, value in node.items()
    }
