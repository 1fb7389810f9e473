"""The failure table, row by row: what callers, the cluster and bugs bring about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from tests import builders
from tests.server.kit import JSON, Raises, Webhook, logs, response
from webhook.catalog_files import CatalogHolder
from webhook.server.body import BodyLimits

REVIEW = builders.review(builders.pod())


def _with(**request: Any) -> dict[str, Any]:
    return builders.review(builders.pod(), **request)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"{", "no JSON", id="cut JSON"),
        pytest.param(b"\xff\xfe\x00", "no JSON", id="not UTF-8"),
        pytest.param(b'"\\ud800"', "no JSON", id="a lone surrogate"),
        pytest.param(b"NaN", "no JSON", id="NaN"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep lists"),
        pytest.param(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "no JSON", id="deep objects"),
        pytest.param(b"[]", "found a list", id="a list"),
        pytest.param(b"null", "found nothing", id="null"),
        pytest.param(b'{"kind":"Pod","apiVersion":"v1"}', "kind: found 'Pod'", id="another kind"),
        pytest.param(orjson.dumps(REVIEW | {"apiVersion": "admission.k8s.io/v1beta1"}), "speaks v1 only", id="v1beta1"),
        pytest.param(orjson.dumps(REVIEW | {"request": None}), "request: found nothing", id="no request"),
        pytest.param(orjson.dumps(REVIEW | {"request": []}), "request: found a list", id="request is a list"),
        pytest.param(orjson.dumps(_with(uid=None)), "request.uid", id="no uid"),
        pytest.param(orjson.dumps(_with(uid=7)), "request.uid: found 7", id="uid is a number"),
        pytest.param(orjson.dumps(_with(operation=None)), "request.operation", id="no operation"),
        pytest.param(orjson.dumps(_with(operation=["CREATE"])), "request.operation", id="operation is a list"),
        pytest.param(orjson.dumps(_with(namespace=None)), "request.namespace", id="no namespace"),
        pytest.param(orjson.dumps(_with(kind=None)), "request.kind: found nothing", id="no kind"),
        pytest.param(orjson.dumps(_with(kind={"group": [], "version": {}})), "request.kind", id="odd kind"),
        pytest.param(
            orjson.dumps(_with(kind={"group": "apps", "version": "v1", "kind": "Deployment"})),
            "request.kind: found 'apps v1 Deployment', expected v1 Pod",
            id="a Deployment",
        ),
        pytest.param(orjson.dumps(_with(object=None)), "request.object: ", id="no object"),
        pytest.param(orjson.dumps(_with(object="pod")), "request.object: ", id="object is a text"),
        pytest.param(orjson.dumps(_with(object={"spec": {}})), "spec.containers", id="no containers"),
        pytest.param(orjson.dumps(_with(object={"spec": {"containers": [1]}})), "containers[0]", id="a number"),
        pytest.param(
            orjson.dumps(_with(object={"metadata": {"labels": {"a": 1}}, "spec": {"containers": [{"name": "a"}]}})),
            "metadata.labels",
            id="a label that is a number",
        ),
    ],
)
async def test_what_is_no_review_of_a_pod_gets_400_and_a_sentence(body: bytes, says: str) -> None:
    """The caller is told what was found and what is expected; there is one log line and no traceback."""
    with logs() as lines:
        answer = await Webhook().post(body)

    assert 400 == answer.status_code
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert ["malformed"] == [line["result"] for line in lines]
    assert "exception" not in lines[0]


@pytest.mark.parametrize(
    "value", ["1" * 400, "-0", "1e999", "1E-999", '{"a":1,"a":2}', '"\\u0000\\u202e"', "1" * 4000 + ".5"]
)
async def test_odd_but_valid_json_inside_a_pod_is_no_problem(value: str) -> None:
    """Huge numbers, duplicate keys and control characters in fields that nobody reads change nothing."""
    body = orjson.dumps(REVIEW).replace(b'"spec":{', b'"spec":{"odd":%s,' % value.encode())

    answer = await Webhook().post(body)

    assert answer.status_code in (200, 400)
    assert b"e" in answer.content


async def test_a_pod_nested_too_deeply_for_us_is_malformed() -> None:
    """Deep documents end in a sentence, not in a traceback."""
    answer = await Webhook(admitter=Raises(RecursionError())).post(REVIEW)

    assert (400, True) == (answer.status_code, "nested too deeply" in answer.json()["error"])


@pytest.mark.parametrize("said", ["text/plain", "application/yaml", "application/jsonp", ""])
async def test_another_content_type_gets_415(said: str) -> None:
    """The sentence names the header, what it says and what it should."""
    answer = await Webhook().post(REVIEW, headers={"content-type": said})

    assert (415, True) == (answer.status_code, "expected application/json" in answer.json()["error"])


@pytest.mark.parametrize("said", ["application/json; charset=utf-8", "Application/JSON"])
async def test_parameters_of_the_content_type_are_no_matter(said: str) -> None:
    """JSON with parameters is JSON."""
    answer = await Webhook().post(REVIEW, headers={"content-type": said})

    assert 200 == answer.status_code


async def test_a_body_announced_too_large_gets_413() -> None:
    """The length says it already, and the connection is closed."""
    with logs() as lines:
        answer = await Webhook().post(b"x" * (5 * 1024 * 1024))

    assert (413, "close") == (answer.status_code, answer.headers["connection"])
    assert ["too-large"] == [line["reason"] for line in lines]


async def test_a_body_of_unknown_length_is_cut_at_the_limit() -> None:
    """Chunks are read no further than that."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b"x" * 1024

    answer = await Webhook(limits=BodyLimits(4096, 0.2)).post(endless())

    assert 413 == answer.status_code


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """The limit itself is allowed."""
    body = orjson.dumps(REVIEW)

    answer = await Webhook(limits=BodyLimits(len(body), 0.9)).post(body)

    assert 200 == answer.status_code


async def test_a_slow_body_gets_400() -> None:
    """The answer comes when the time is over, however much has arrived."""

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    with logs() as lines:
        answer = await Webhook(limits=BodyLimits(4096, 0.05)).post(slow())

    assert (400, "close") == (answer.status_code, answer.headers["connection"])
    assert ["slow-body"] == [line["reason"] for line in lines]


async def test_a_cut_body_is_one_line_and_no_answer() -> None:
    """There is nobody to answer; the log tells, without a traceback."""
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    scope = {"type": "http", "path": "/mutate", "method": "POST", "headers": [(b"content-type", b"application/json")]}

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    with logs() as lines:
        await Webhook().app(scope, receive, send)

    assert ([], ["cut-body"]) == (sent, [line["reason"] for line in lines])
    assert "exception" not in lines[0]


async def test_without_a_catalog_the_answer_is_503() -> None:
    """The failure policy decides; a Pod is never refused for it."""
    webhook = Webhook(catalog=lambda: CatalogHolder().current)

    answer = await webhook.post(REVIEW)

    assert (503, 1.0) == (answer.status_code, webhook.counted("unavailable", "catalog-not-ready"))


async def test_a_bug_is_500_with_one_traceback_and_the_uid() -> None:
    """The failure policy decides; the traceback names places in the code and nothing of the Pod."""
    with logs() as lines:
        answer = await Webhook(admitter=Raises(KeyError("s3cret"))).post(REVIEW)

    (line,) = lines
    assert (500, "crashed", builders.UID) == (answer.status_code, line["result"], line["uid"])
    assert "Traceback" in line["exception"]
    assert line["exception"].endswith("KeyError")
    assert "s3cret" not in str(line)
    assert "s3cret" not in answer.text


async def test_a_log_that_cannot_be_written_fails_no_admission() -> None:
    """A full disk below the log is no reason to leave a Pod without its sidecar."""
    webhook = Webhook()
    mutate = webhook.app._mutate

    class Full:
        def info(self, *_: Any, **__: Any) -> None:
            raise OSError("no space left on device")

    mutate._recorder._log = Full()

    assert 200 == (await webhook.post(REVIEW)).status_code


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("DELETE", 405)])
async def test_another_method_gets_405(method: str, status: int) -> None:
    """Only POST is served, and the answer says so."""
    answer = await Webhook().call(method, "/mutate")

    assert (status, "POST") == (answer.status_code, answer.headers["allow"])
    assert "expected POST /mutate" in answer.json()["error"]


async def test_another_path_gets_404() -> None:
    """The answer names the one path that is served."""
    answer = await Webhook().post(REVIEW, path="/mutate/")

    assert (404, True) == (answer.status_code, "expected POST /mutate" in answer.json()["error"])


async def test_no_body_length_that_lies_crashes_us() -> None:
    """A length of many digits is too large, not a number to compute with."""
    answer = await Webhook().post(REVIEW, headers=JSON | {"content-length": "9" * 5000})

    assert 413 == answer.status_code


async def test_response_helper_sees_the_uid() -> None:
    """A review of a Pod that is fine is answered whatever came before on the same application."""
    webhook = Webhook()
    await webhook.post(b"{")

    assert builders.UID == response(await webhook.post(REVIEW))["uid"]
