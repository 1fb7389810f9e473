"""The sidecar's four files as one static bootstrap, as `envoy --mode validate` can check it.

Validation of Envoy reads only the bootstrap; what is read from files would pass unseen.
"""

from __future__ import annotations

from typing import Any, Final

from webhook.core.model import Json


def as_static(
    bootstrap: Json, clusters: Json, routes: Json, listeners: Json, captures: Json = None, *secrets: Json
) -> Json:
    """Give one self-contained bootstrap with the same listeners, routes, clusters and secrets.

    Takes the parsed content of the files, the last ones where there are such; none is changed.
    """
    static = bootstrap.get("static_resources") or {}
    every = [*routes["resources"], *(captures or _EMPTY)["resources"]]
    by_name = {route["name"]: _untyped(route) for route in every}
    kept = {key: value for key, value in bootstrap.items() if key != "dynamic_resources"}
    # Where endpoints are pushed from is no file.
    ads = {key: value for key, value in bootstrap.get("dynamic_resources", {}).items() if key == "ads_config"}
    found = {
        **static,
        "listeners": [*static.get("listeners", []), *map(_untyped, listeners["resources"])],
        "clusters": [*static.get("clusters", []), *map(_untyped, clusters["resources"])],
    }
    if secrets:
        found["secrets"] = [_told(secret) for file in secrets for secret in (file or _EMPTY)["resources"]]
    pushed = {"node": _NOBODY, "dynamic_resources": ads} if ads else {}
    return {**kept, **pushed, "static_resources": _inline(found, by_name)}


_EMPTY: Final[Json] = {"resources": ()}
_NOBODY: Final[Json] = {"id": "static", "cluster": "static"}
"""Whoever asks for endpoints must be somebody; a sidecar says it on its command line."""


def _told(secret: dict[str, Any]) -> dict[str, Any]:
    """Give a secret without the file that only a running Pod has."""
    told = {"generic_secret": {"secret": {"inline_string": "-"}}} if "generic_secret" in secret else {}
    return {**_untyped(secret), **told}


def _untyped(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}


def _inline(node: Any, routes: dict[str, Any]) -> Any:
    """Replace every `rds` by the route configuration that it names, and secrets from files by their names."""
    if isinstance(node, list):
        return [_inline(item, routes) for item in node]
    if not isinstance(node, dict):
        return node
    if "rds" in node:
        rest = {key: value for key, value in node.items() if key != "rds"}
        return {**_inline(rest, routes), "route_config": routes[node["rds"]["route_config_name"]]}
    return {key: _inline(value, routes) for key, value in node.items() if key != "sds_config"}
