"""Whatever JSON is sent, the answer is a review or the caller's own mistake: never 5xx."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders
from tests.server.kit import Webhook
from webhook.core import names

WEBHOOK = Webhook()
FULL_POD = builders.pod(
    annotations={names.UPSTREAMS: "orders", names.APP_PORT: "8080"},
    containers=[
        builders.container(
            lifecycle={"preStop": {"sleep": {"seconds": 3}}},
            readinessProbe={"httpGet": {"path": "/", "port": 8080}},
            ports=[{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            env=[{"name": "A", "value": "b"}],
            resources={"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            volumeMounts=[{"name": "data", "mountPath": "/data"}],
        )
    ],
    initContainers=[builders.container("first", restartPolicy="Always")],
    volumes=[{"name": "data", "emptyDir": {}}],
    securityContext={"runAsUser": 1000, "fsGroup": 1},
    nodeSelector={"kubernetes.io/os": "linux"},
    resources={"requests": {"cpu": "1"}},
    os={"name": "linux"},
    hostNetwork=False,
    terminationGracePeriodSeconds=30,
    tolerations=[],
)
FULL_POD["metadata"] |= {"ownerReferences": [{"kind": "ReplicaSet", "name": "front-7"}], "generateName": "front-"}
REVIEW = builders.review(FULL_POD)
TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    [names.SIDECAR, names.VOLUME, *names.ANNOTATIONS_ON_PODS, "Always", "enabled", "windows", "0", "orders.shop:1"]
)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the path of every value below a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in below for place in ((*path, key), *_places(inner, (*path, key)))]


PLACES = _places(REVIEW)


def _status(document: Any) -> int:
    return asyncio.run(WEBHOOK.post(orjson.dumps(document))).status_code


@given(VALUE)
@settings(max_examples=150)
def test_any_json_is_answered(document: Any) -> None:
    """What is no review is malformed."""
    assert 400 == _status(document)


@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUE), min_size=1, max_size=3))
@settings(max_examples=150)
def test_any_value_anywhere_in_a_review_is_answered(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """A review with values exchanged is answered, or is malformed."""
    document = copy.deepcopy(REVIEW)
    for path, value in changes:
        _put(document, path, value)

    assert _status(document) in (200, 400)


@given(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3))
@settings(max_examples=100)
def test_anything_may_be_missing(paths: list[tuple[Any, ...]]) -> None:
    """A review with parts left out is answered, or is malformed."""
    document = copy.deepcopy(REVIEW)
    for path in paths:
        _put(document, path, None, remove=True)

    assert _status(document) in (200, 400)


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_are_answered(body: bytes) -> None:
    """What is no JSON is malformed."""
    assert 400 == asyncio.run(WEBHOOK.post(body)).status_code


def _put(document: Any, path: tuple[Any, ...], value: Any, *, remove: bool = False) -> None:
    """Exchange or take away one value; a place that an earlier change removed is let be."""
    try:
        for key in path[:-1]:
            document = document[key]
        if isinstance(document, dict) and not isinstance(path[-1], str):
            return
        if remove:
            del document[path[-1]]
        else:
            document[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return
