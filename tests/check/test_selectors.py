"""Label selectors mean here what they mean to the API server."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.check.selectors import matches

IN = {"key": "a", "operator": "In", "values": ["1", "2"]}
NOT_IN = {**IN, "operator": "NotIn"}
EXISTS, ABSENT = {"key": "a", "operator": "Exists"}, {"key": "a", "operator": "DoesNotExist"}


@pytest.mark.parametrize(
    ("expression", "labels", "expected"),
    [
        (IN, {"a": "1"}, True),
        (IN, {"a": "3"}, False),
        (IN, {}, False),
        (NOT_IN, {"a": "1"}, False),
        (NOT_IN, {"a": "3"}, True),
        (NOT_IN, {}, True),
        (EXISTS, {"a": ""}, True),
        (EXISTS, {}, False),
        (ABSENT, {"a": ""}, False),
        (ABSENT, {}, True),
        ({"key": "a", "operator": "Like"}, {"a": "1"}, False),
    ],
)
def test_an_expression(expression: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    """Each operator, with the label there, other, and absent."""
    assert matches({"matchExpressions": [expression]}, labels) is expected


@pytest.mark.parametrize("selector", [None, {}])
def test_an_empty_selector_selects_everything(selector: dict[str, Any] | None) -> None:
    """As the API server has it."""
    assert matches(selector, {"a": "1"})


def test_all_parts_must_match() -> None:
    """Labels and expressions alike."""
    selector = {"matchLabels": {"b": "2"}, "matchExpressions": [EXISTS]}

    assert matches(selector, {"a": "1", "b": "2"})
    assert not matches(selector, {"a": "1"})
    assert not matches(selector, {"b": "2"})
