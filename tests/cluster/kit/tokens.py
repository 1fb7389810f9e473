"""The tokens that Pods mount: bound to them, issued by the API server, renewed in time as a kubelet does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.cluster.kit.rest import Json, Rest, RestError

_DEFAULT_SECONDS: Final = 3600
_RENEWED_AT: Final = 0.8
_GONE: Final = (404, 409)
"""How the API server answers where the Pod is no more, or another has its name."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    namespace: str
    account: str
    pod: str
    uid: str
    audience: str
    seconds: int
    due: float = 0.0
    """When it is to be issued, or issued again (`time.monotonic()`)."""


class Tokens:
    """The tokens of the Pods that run."""

    def __init__(self, rest: Rest) -> None:
        self.by_pod: dict[tuple[str, str], dict[str, str]] = {}
        """By audience, of each Pod by (namespace, uid); the node's own dictionary."""
        self._rest = rest
        self._wanted: dict[tuple[str, str], _Wanted] = {}

    async def prepare(self, pod: Json) -> None:
        """Have every token that a Pod mounts."""
        for one in _wanted(pod):
            key = (one.uid, one.audience)
            await self._issue(key, self._wanted.get(key, one))

    async def refresh(self) -> bool:
        """Renew those that are due, at four fifths of their life; say whether there were any."""
        due = [(key, one) for key, one in self._wanted.items() if time.monotonic() >= one.due]
        return any([await self._issue(key, one) for key, one in due])

    def expire(self) -> None:
        """Have all of them renewed at the next refresh."""
        self._wanted = {key: replace(one, due=0.0) for key, one in self._wanted.items()}

    def forget(self, uid: str) -> None:
        """Renew nothing more for a Pod that is gone."""
        for key in [key for key in self._wanted if key[0] == uid]:
            self.by_pod.pop((self._wanted.pop(key).namespace, uid), None)

    async def _issue(self, key: tuple[str, str], one: _Wanted) -> bool:
        if time.monotonic() < one.due:
            return False
        bound = {"apiVersion": "v1", "kind": "Pod", "name": one.pod, "uid": one.uid}
        spec: dict[str, Any] = {"expirationSeconds": one.seconds, "boundObjectRef": bound}
        if one.audience:
            spec["audiences"] = [one.audience]
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{one.namespace}/serviceaccounts/{one.account}/token"
        try:
            issued = await self._rest.post(path, request)
        except RestError as error:
            # A Pod that is just being deleted needs no new one; one that is to start cannot do without.
            if key not in self._wanted or error.status not in _GONE:
                raise
            return False
        self._wanted[key] = replace(one, due=time.monotonic() + one.seconds * _RENEWED_AT)
        self.by_pod.setdefault((one.namespace, one.uid), {})[one.audience] = issued["status"]["token"]
        return True


def _wanted(pod: Json) -> Iterator[_Wanted]:
    metadata, spec = pod["metadata"], pod["spec"]
    account = spec.get("serviceAccountName") or "default"
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if found := source.get("serviceAccountToken"):
                seconds = int(found.get("expirationSeconds") or _DEFAULT_SECONDS)
                audience = found.get("audience") or ""
                yield _Wanted(metadata["namespace"], account, metadata["name"], metadata["uid"], audience, seconds)
