"""The door to the API server: what is asked, what comes back, what goes wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.kube.apiserver import ApiServer, answers, hangs, says, status
from tests.kube.kit import running
from webhook.kube import api as door
from webhook.kube.api import Api, ServerVersion
from webhook.kube.errors import AlreadyExists, ClusterError, Conflict, Forbidden, Gone, Invalid, NotFound, Unreachable
from webhook.kube.resources import NAMESPACES, PODS, SERVICES

POD = PODS.path("shop", "front-0")


async def test_every_verb(server: ApiServer, api: Api) -> None:
    """Method, path, parameters and body as the API has them; counted as RBAC names them."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        server.faults.append((method, answers(lambda: web.json_response({"metadata": {"name": "x"}}))))
    body = {"metadata": {"name": "x"}}

    assert await api.get(POD) == body
    await api.create(PODS.path("shop"), body, dryRun="All", fieldManager="evenkeel")
    await api.replace(PODS.path("shop", "x", "status"), body, force=True)
    await api.patch(POD, [{"op": "remove", "path": "/a"}], content_type="application/json-patch+json", pretty=None)
    await api.delete(POD, {"propagationPolicy": "Foreground"})

    asked = [(call.method, call.path, call.query, call.body) for call in server.calls]
    assert asked == [
        ("GET", POD, {}, None),
        ("POST", "/api/v1/namespaces/shop/pods", {"dryRun": "All", "fieldManager": "evenkeel"}, body),
        ("PUT", "/api/v1/namespaces/shop/pods/x/status", {"force": "true"}, body),
        ("PATCH", POD, {}, [{"op": "remove", "path": "/a"}]),
        ("DELETE", POD, {}, {"propagationPolicy": "Foreground"}),
    ]
    assert [call.headers.get("Content-Type") for call in server.calls[3:4]] == ["application/json-patch+json"]
    assert all(call.headers["User-Agent"].startswith("evenkeel/") for call in server.calls)
    assert dict(api.calls) == {
        ("get", "pods", ""): 1,
        ("create", "pods", ""): 1,
        ("update", "pods", "status"): 1,
        ("patch", "pods", ""): 1,
        ("delete", "pods", ""): 1,
    }


async def test_collections(server: ApiServer, api: Api) -> None:
    """All pages, each object with the kind that only the list says; deleting all is a verb of its own."""
    server.limit = 2
    for name in "abc":
        await server.put(SERVICES.path(), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}})
    server.faults.append(("DELETE", answers(lambda: web.json_response({"kind": "ServiceList"}))))

    listing = await api.list(SERVICES.path())
    await api.delete(SERVICES.path("shop"), labelSelector="a=b,c!=d")

    assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in listing.items] == [
        ("Service", "v1", "a"),
        ("Service", "v1", "b"),
        ("Service", "v1", "c"),
    ]
    assert listing.version == str(server.version)
    assert server.calls[-1].query == {"labelSelector": "a=b,c!=d"}
    assert dict(api.calls) == {("list", "services", ""): 2, ("deletecollection", "services", ""): 1}


async def test_a_list_whose_page_expired_begins_once_more(server: ApiServer, api: Api) -> None:
    """And only once: the caller decides about more."""
    await server.put(SERVICES.path(), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
    gone = answers(lambda: status(410, "Expired", "too old"))
    server.faults.append(("list", gone))

    assert len((await api.list(SERVICES.path())).items) == 1

    server.faults += [("list", gone)] * 2
    with pytest.raises(Gone):
        await api.list(SERVICES.path())


async def test_warnings_are_read(server: ApiServer, api: Api) -> None:
    """Several, also in one header, with quotes in them; what is no warning is passed over."""
    headers = [
        ("Warning", '299 - "first"'),
        ("Warning", '299 - "a \\"second\\"", 299 kube "third"'),
        ("Warning", "junk"),
    ]
    server.faults.append(("PATCH", answers(lambda: web.json_response({}, headers=headers))))  # type: ignore[arg-type]

    assert (await api.patch(POD, {})).warnings == ("first", 'a "second"', "third")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"major": "1", "minor": "34", "gitVersion": "v1.34.2"}, ServerVersion(1, 34, "v1.34.2")),
        ({"major": "1", "minor": "31+", "gitVersion": "v1.31.9-eks-1"}, ServerVersion(1, 31, "v1.31.9-eks-1")),
        ({}, ServerVersion(0, 0, "")),
    ],
)
async def test_the_version(server: ApiServer, api: Api, answer: Any, expected: ServerVersion) -> None:
    """Providers write a plus after the minor version."""
    server.faults.append(("GET /version", answers(lambda: web.json_response(answer))))

    assert await api.version() == expected
    assert dict(api.calls) == {("get", "/version", ""): 1}


ACCOUNT = "system:serviceaccount:evenkeel-system:evenkeel-webhook"
RBAC = f'services is forbidden: User "{ACCOUNT}" cannot list resource "services" in API group "" at the cluster scope'
NO_OBJECT = "GET {}: no answer: the answer is no JSON object: is that the API server?"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (
            status(403, "Forbidden", RBAC),
            Forbidden,
            (f"GET {{}}: forbidden: {ACCOUNT} may not list services; bind ClusterRole evenkeel-webhook (deploy/base)"),
        ),
        (
            status(403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
            Forbidden,
            'GET {}: forbidden: pods "x" is forbidden: violates PodSecurity "restricted:latest"',
        ),
        (status(404, "NotFound", 'pods "x" not found'), NotFound, 'GET {}: not found: pods "x" not found'),
        (status(409, "Conflict", "try again"), Conflict, "GET {}: conflict: try again"),
        (status(409, "AlreadyExists", "there"), AlreadyExists, "GET {}: exists already: there"),
        (status(410, "Expired", "old"), Gone, "GET {}: expired: old"),
        (status(422, "Invalid", "a: b"), Invalid, "GET {}: refused: a: b"),
        (status(400, "BadRequest", "a"), Invalid, "GET {}: refused: a"),
        (status(415, "UnsupportedMediaType", "a"), ClusterError, "GET {}: failed: a"),
        (status(503, "ServiceUnavailable", "later"), Unreachable, "GET {}: no answer: HTTP 503: later"),
        (status(504, "Timeout", ""), Unreachable, "GET {}: no answer: HTTP 504"),
        (web.Response(status=502, text="<html>secret</html>"), Unreachable, "GET {}: no answer: HTTP 502"),
        (web.json_response({"kind": "Secret", "message": "x"}, status=404), NotFound, "GET {}: not found: HTTP 404"),
        (
            web.json_response(["x"]),
            Unreachable,
            "GET {}: no answer: the answer is no JSON object: is that the API server?",
        ),
        (
            web.Response(text="hello"),
            Unreachable,
            "GET {}: no answer: the answer is no JSON object: is that the API server?",
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
async def test_errors(server: ApiServer, api: Api, answer: web.Response, kind: type, text: str) -> None:
    """One sentence for people, one class for who must act."""
    server.faults.append(("GET", answers(lambda: answer)))

    with pytest.raises(ClusterError) as caught:
        await api.get(POD)

    assert type(caught.value) is kind
    assert str(caught.value) == text.format(POD)
    assert (caught.value.verb, caught.value.path) == ("GET", POD)


async def test_a_long_message_is_cut_and_made_printable(server: ApiServer, api: Api) -> None:
    """It may be a stranger's text."""
    server.faults.append(("GET", answers(lambda: status(422, "Invalid", "a\nb" + "\x1b" * 300))))

    with pytest.raises(Invalid) as caught:
        await api.get(POD)

    assert len(caught.value.message) == 256
    assert caught.value.message.isprintable()
    assert caught.value.message.startswith("a b\\x1b")


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), (None, None), ("soon", None), ("-1", None), ("999999999", 120.0)]
)
async def test_retry_after(server: ApiServer, api: Api, header: str | None, seconds: float | None) -> None:
    """As the API server asks; not longer than two minutes, whatever it says."""
    headers = {} if header is None else {"Retry-After": header}
    server.faults.append(("GET", answers(lambda: status(429, "TooManyRequests", "slow", headers))))

    with pytest.raises(Unreachable) as caught:
        await api.get(POD)

    assert (caught.value.status, caught.value.retry_after) == (429, seconds)


async def test_a_server_that_is_gone(server: ApiServer, api: Api) -> None:
    """Nothing but our own error, for each way to ask."""
    await server.stop()

    for call in (api.get(POD), api.list(SERVICES.path()), api.watch(POD, version="1", timeout=1).__anext__()):
        with pytest.raises(Unreachable, match="no answer: Cannot connect to host"):
            await call


async def test_a_server_that_says_nothing(server: ApiServer, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request has an end."""
    monkeypatch.setattr(door, "_LIMITS", aiohttp.ClientTimeout(total=0.05))
    never = asyncio.Event()
    server.faults.append(("GET", hangs(never, begun=False)))

    with pytest.raises(Unreachable, match="the API server was silent for too long"):
        await api.get(POD)

    never.set()


async def test_a_broken_answer(server: ApiServer, api: Api) -> None:
    """Half an answer is none."""
    server.faults.append(("GET", says(b'{"metadata":', cut=True)))

    with pytest.raises(Unreachable, match="not completed"):
        await api.get(POD)


async def test_outside_of_its_context_it_answers_nothing(server: ApiServer, tmp_path: Path) -> None:
    """Before and after."""
    api = Api.connect(server.kubeconfig(tmp_path))
    async with api:
        pass

    with pytest.raises(Unreachable, match="closed"):
        await api.get(POD)


async def test_a_watch_may_be_left(server: ApiServer, api: Api) -> None:
    """What runs it is cancelled while nothing comes."""
    await server.put(NAMESPACES.path(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    opened = asyncio.Event()

    async def watch() -> None:
        async for _ in api.watch(NAMESPACES.path(), version=str(server.version), timeout=60, opened=opened.set):
            pass

    async with running(watch()) as (task,):
        async with asyncio.timeout(10):
            await opened.wait()

    assert task.cancelled()
    assert dict(api.calls) == {("watch", "namespaces", ""): 1}
