"""Warnings of HTTP proxies that would take gRPC away from localhost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import container, view_of_pod
from webhook.core.advice import http_proxy_warnings


def warned(env: Any) -> list[str]:
    """Give the variable that each warning names."""
    pod = view_of_pod(containers=[container(env=env)])
    return [warning.partition(" sets ")[2].partition(":")[0] for warning in http_proxy_warnings(pod)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"http_proxy": "http://p"}, ["http_proxy"]),
        ({"https_proxy": "http://p"}, ["https_proxy"]),
        ({"grpc_proxy": "http://p", "http_proxy": "http://q"}, ["grpc_proxy"]),
        ({"http_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, ["http_proxy"]),
        ({"http_proxy": "http://p", "no_proxy": "localhost,127.0.0.1"}, []),
        ({"http_proxy": "http://p", "no_grpc_proxy": "localhost"}, []),
        ({"http_proxy": "http://p", "no_proxy": "*"}, []),
        ({"http_proxy": ""}, []),
        ({"HTTP_PROXY": "http://p"}, []),
        ({}, []),
    ],
)
def test_variables(variables: dict[str, str], expected: list[str]) -> None:
    """As gRPC for Python and Node reads them: lowercase, with exceptions."""
    actual = warned([{"name": name, "value": value} for name, value in variables.items()])

    assert expected == actual


@pytest.mark.parametrize(
    "env",
    [None, {}, "x", [None, 1], [{"name": None}], [{"name": ["http_proxy"]}], [{"name": "http_proxy", "valueFrom": {}}]],
    ids=str,
)
def test_odd_variables_are_no_matter(env: Any) -> None:
    """They are the API server's to judge."""
    assert warned(env) == []
