"""The Secrets and ConfigMaps that Pods mount, fetched for the node that runs them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Final

from tests.cluster.kit.rest import Json, Rest, RestError
from tests.cluster.kit.tokens import Tokens

_NOT_FOUND: Final = 404
_REFERENCES: Final = {
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
}
_KINDS: Final = {"ConfigMap": "configmaps", "Secret": "secrets"}


class Given:
    """What was fetched, and the tokens; the dictionaries are the node's own."""

    def __init__(self, rest: Rest) -> None:
        self.config_maps: dict[tuple[str, str], dict[str, str]] = {}
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.tokens = Tokens(rest)
        self._rest = rest
        self._known: set[tuple[str, str, str]] = set()

    async def prepare(self, pod: Json) -> None:
        """Fetch everything that a Pod mounts; what is not there is left out, for the node to complain of."""
        namespace = pod["metadata"]["namespace"]
        for kind, name in _referred(pod["spec"]):
            self._known.add((kind, namespace, name))
            await self._fetch(kind, namespace, name)
        await self.tokens.prepare(pod)

    async def refresh(self) -> bool:
        """Fetch everything again, and renew tokens that are due; say whether anything changed."""
        changes = [await self._fetch(*key) for key in list(self._known)]
        return any([*changes, await self.tokens.refresh()])

    async def _fetch(self, kind: str, namespace: str, name: str) -> bool:
        known = self.config_maps if kind == "ConfigMap" else self.secrets
        before = known.get((namespace, name))
        try:
            found = await self._rest.get(f"/api/v1/namespaces/{namespace}/{_KINDS[kind]}/{name}")
        except RestError as error:
            if error.status == _NOT_FOUND:
                known.pop((namespace, name), None)
            return before is not None and error.status == _NOT_FOUND
        data = found.get("data") or {}
        texts = data if kind == "ConfigMap" else {key: b64decode(text).decode() for key, text in data.items()}
        known[namespace, name] = texts
        return texts != before


def _sources(spec: Json) -> Iterator[Json]:
    for volume in spec.get("volumes") or ():
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or ()


def _referred(spec: Json) -> Iterator[tuple[str, str]]:
    for source in _sources(spec):
        if found := source.get("configMap"):
            yield "ConfigMap", found["name"]
        if found := source.get("secret"):
            yield "Secret", found.get("secretName") or found["name"]
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        for source in (*(container.get("envFrom") or ()), *(_value_sources(container))):
            yield from ((kind, source[field]["name"]) for field, kind in _REFERENCES.items() if field in source)


def _value_sources(container: Json) -> Iterator[Json]:
    yield from (variable["valueFrom"] for variable in container.get("env") or () if "valueFrom" in variable)
