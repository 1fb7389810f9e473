"""A small client of the Kubernetes API for tests: documents in, documents out, warnings kept."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import yaml

from tests.cluster.kit.identity import Pair

Json = dict[str, Any]
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_JSON: Final = "application/json"
_LIMIT: Final = 60.0
_POLL: Final = 0.05
_BUSY: Final = 429
_TRIES: Final = 5
_SHOWN: Final = 2000
_CONNECTIONS: Final = httpx.Limits(max_connections=200, max_keepalive_connections=200)
# RFC 7234: code, agent, quoted text.
_WARNING: Final = re.compile(r'(\d{3}) (\S+) "((?:[^"\\]|\\.)*)"')


class RestError(Exception):
    """The API server refused; a watch's ERROR event is one too."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class Rest:
    """Requests as the user of a kubeconfig; belongs to the event loop that it is opened in."""

    def __init__(self, kubeconfig: Path, *, user_agent: str = "evenkeel-tests") -> None:
        server, context, token = _read(kubeconfig)
        headers = {"user-agent": user_agent, "accept": _JSON}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self.server = server
        self.warnings: tuple[str, ...] = ()
        """What the last answer warned of; requests made at the same time overwrite each other's."""
        self._paths: dict[tuple[str, str], tuple[str, bool]] = {}
        self._sending: set[asyncio.Task[httpx.Response]] = set()
        self._client = httpx.AsyncClient(
            base_url=server, headers=headers, verify=context, trust_env=False, timeout=_LIMIT, limits=_CONNECTIONS
        )

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._client.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        """Give an object, a list, or the text that a path like /metrics answers with."""
        return (await self.request("GET", path, params=params))[0]

    async def post(self, path: str, json: Any, **params: Any) -> Any:
        """Create an object."""
        return (await self.request("POST", path, json, params=params))[0]

    async def post_with_warnings(self, path: str, json: Any, **params: Any) -> tuple[Any, tuple[str, ...]]:
        """Create an object, and give what the API server warned of."""
        return await self.request("POST", path, json, params=params)

    async def put(self, path: str, json: Any, **params: Any) -> Any:
        """Replace an object."""
        return (await self.request("PUT", path, json, params=params))[0]

    async def patch(self, path: str, json: Any, content_type: str = MERGE, **params: Any) -> Any:
        """Change an object."""
        return (await self.request("PATCH", path, json, content_type=content_type, params=params))[0]

    async def delete(self, path: str, json: Any = None, **params: Any) -> Any:
        """Delete an object, or with a collection's path all of them."""
        return (await self.request("DELETE", path, json, params=params))[0]

    async def apply(
        self, obj: Json, *, dry_run: bool = False, namespace: str = "default", manager: str = "evenkeel-tests"
    ) -> tuple[Json, tuple[str, ...]]:
        """Apply an object of any kind on the server's side; `namespace` is for one that names none."""
        params = {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        return await self.request("PATCH", await self.path_of(obj, namespace), obj, content_type=APPLY, params=params)

    async def path_of(self, obj: Json, namespace: str = "default") -> str:
        """Give the path of an object, by what the API server says of its kind."""
        api_version, kind, meta = obj["apiVersion"], obj["kind"], obj["metadata"]
        if (api_version, kind) not in self._paths:
            await self._discover(api_version)
        if (api_version, kind) not in self._paths:
            raise RestError(404, "NotFound", f"the API server knows no {kind} of {api_version}")
        plural, namespaced = self._paths[api_version, kind]
        inside = f"/namespaces/{meta.get('namespace', namespace)}" if namespaced else ""
        return f"{_root(api_version)}{inside}/{plural}/{meta['name']}"

    async def watch(self, path: str, **params: Any) -> AsyncIterator[Json]:
        """Give the events of a collection; an ERROR event raises RestError with its status."""
        url = self._client.build_request("GET", path, params=_plain({**params, "watch": True}))
        url.extensions["timeout"] = httpx.Timeout(_LIMIT, read=None).as_dict()
        answer = await self._send(url, stream=True)
        try:
            if answer.is_error:
                await answer.aread()
                raise _error(answer)
            async for line in answer.aiter_lines():
                event: Json = json.loads(line)
                if event["type"] == "ERROR":
                    raise _status(event["object"])
                yield event
        finally:
            await answer.aclose()

    async def request(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        content_type: str = _JSON,
        params: Mapping[str, Any] | None = None,
    ) -> tuple[Any, tuple[str, ...]]:
        """Send a request; RestError if it is refused. Gives the answer and what it warned of.

        An API server that is too busy is asked again when it says so, as kubectl does.
        """
        content = None if document is None else json.dumps(document)
        headers = {} if document is None else {"content-type": content_type}
        for _ in range(_TRIES):
            answer = await self._send(
                self._client.build_request(method, path, content=content, headers=headers, params=_plain(params or {}))
            )
            if answer.status_code != _BUSY or "retry-after" not in answer.headers:
                break
            await asyncio.sleep(float(answer.headers["retry-after"]))
        warnings = tuple(_warnings(answer))
        self.warnings = warnings
        if answer.is_error:
            raise _error(answer)
        is_json = answer.headers.get("content-type", "").startswith(_JSON)
        return (answer.json() if is_json else answer.text), warnings

    async def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        """Send a request to its end, whoever is cancelled: httpcore leaves a socket open whose TLS handshake is."""
        sending = asyncio.create_task(self._client.send(request, stream=stream))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return await asyncio.shield(sending)

    async def _discover(self, api_version: str) -> None:
        for resource in (await self.get(_root(api_version)))["resources"]:
            if "/" not in resource["name"]:
                self._paths[api_version, resource["kind"]] = resource["name"], resource["namespaced"]


async def until(
    rest: Rest, path: str, holds: Callable[[Any], bool], *, limit: float = _LIMIT, refused: Collection[int] = ()
) -> Any:
    """Get a path until what it gives is as wanted, and give that; TimeoutError shows what it was in the end.

    `refused` are the statuses that may pass, such as 404 or 403.
    """
    deadline = time.monotonic() + limit
    while True:
        try:
            found = await rest.get(path)
            if holds(found):
                return found
        except RestError as error:
            if error.status not in refused:
                raise
            found = str(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} is not as wanted after {limit:g} s: {json.dumps(found)[:_SHOWN]}")
        await asyncio.sleep(_POLL)


def documents(path: Path) -> list[Json]:
    """Give the documents of a YAML file, those in lists one by one."""
    found = [one for one in yaml.safe_load_all(path.read_text()) if one]
    return [item for one in found for item in (one["items"] if one["kind"] == "List" else [one])]


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}


def _warnings(answer: httpx.Response) -> list[str]:
    found = (_WARNING.search(text) for text in answer.headers.get_list("warning"))
    return [re.sub(r"\\(.)", r"\1", match[3]) for match in found if match]


def _error(answer: httpx.Response) -> RestError:
    try:
        return _status(answer.json())
    except (ValueError, TypeError, AttributeError):
        return RestError(answer.status_code, answer.reason_phrase, answer.text.strip())


def _status(status: Json) -> RestError:
    return RestError(status.get("code", 0), status.get("reason", ""), status.get("message", ""))


def _read(kubeconfig: Path) -> tuple[str, ssl.SSLContext, str]:
    document = yaml.safe_load(kubeconfig.read_text())
    context = _named(document["contexts"], document["current-context"])["context"]
    cluster = _named(document["clusters"], context["cluster"])["cluster"]
    user = _named(document["users"], context["user"])["user"]
    ca = _bytes(cluster, "certificate-authority", kubeconfig)
    tls = ssl.create_default_context(cadata=ca.decode() if ca else None)
    cert, key = (_bytes(user, name, kubeconfig) for name in ("client-certificate", "client-key"))
    if cert and key:
        Pair(cert, key).load_into(tls)
    token = user.get("token") or (_bytes(user, "tokenFile", kubeconfig) or b"").decode().strip()
    return cluster["server"], tls, token


def _named(entries: list[Json], name: str) -> Json:
    return next(entry for entry in entries if entry["name"] == name)


def _bytes(entry: Json, name: str, kubeconfig: Path) -> bytes | None:
    if f"{name}-data" in entry:
        return b64decode(entry[f"{name}-data"])
    return (kubeconfig.parent / entry[name]).read_bytes() if name in entry else None
