"""Kubernetes' quantities, exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest

from webhook.core.quantity import positive, quantity, same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"), ("+1", "1"), (".5", "0.5"), ("1.", "1"), ("250m", "0.25"), ("1n", "1e-9"), ("1u", "1e-6"),
        ("1k", "1000"), ("1M", "1e6"), ("1G", "1e9"), ("1T", "1e12"), ("1P", "1e15"), ("1E", "1e18"), ("1e3", "1000"),
        ("1E3", "1000"), ("1e-3", "0.001"), ("1Ki", "1024"), ("1Mi", "1048576"), ("0.5Gi", "536870912"),
        ("7Ei", "8070450532247928832"), ("9E", "9e18"),
    ],
)  # fmt: skip
def test_read(text: str, expected: str) -> None:
    """Every suffix and form that Kubernetes accepts."""
    actual = quantity(text)

    assert Decimal(expected) == actual


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1K",
        "1ki",
        "1 Gi",
        "Gi",
        ".",
        "1.2.3",
        "1e",
        "1e3Mi",
        "1_000",
        "0x1",
        "inf",
        "nan",
        "1m\n",
        "\u0661",
        "1" * 19,
        "8Ei",
        "9223372036854775808",
        "1e99",
        "10E",
    ],
)
def test_refused(text: str) -> None:
    """No other form, no other script's digits, nothing larger than Kubernetes can hold."""
    with pytest.raises(ValueError, match="accepted: "):
        quantity(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1", "1000m", True),
        (1, "1", True),
        (0.5, "500m", True),
        ("1Gi", "1024Mi", True),
        ("1", "2", False),
        ("x", "x", False),
        (None, None, False),
        (True, "1", False),
        ({}, "1", False),
    ],
)
def test_same(one: object, other: object, expected: bool) -> None:
    """Equal amounts are equal in any unit; what is none never is."""
    actual = same(one, other)

    assert expected == actual


@pytest.mark.parametrize(
    ("value", "expected"), [("1n", True), (1, True), ("0", False), ("0Gi", False), (None, False), ("x", False)]
)
def test_positive(value: object, expected: bool) -> None:
    """Zero and what is no quantity are not."""
    actual = positive(value)

    assert expected == actual
