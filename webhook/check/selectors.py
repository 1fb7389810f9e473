"""Label selectors as the API server reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.core.model import JsonObject


def matches(selector: JsonObject | None, labels: Mapping[str, str]) -> bool:
    """Say whether a LabelSelector selects something with these labels; an empty one selects everything."""
    wanted = (selector or {}).get("matchLabels") or {}
    expressions = (selector or {}).get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _matches(expression, labels) for expression in expressions
    )


def _matches(expression: JsonObject, labels: Mapping[str, str]) -> bool:
    key: Any = expression.get("key")
    value, values = labels.get(key), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
