"""Every parser of a Service's annotations, at its edge and beyond."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core import names
from webhook.core import service_annotations as words
from webhook.core.model import LbPolicy, Policy, Retry
from webhook.core.service_annotations import SERVICE, ServiceWords, read_service_annotations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1ms", "0.001s"), ("0.5ms0.5ms", "0.001s"), ("2s", "2s"), ("2.5s", "2.5s"), ("500ms", "0.5s"), ("10s", "10s"),
        ("1h30m", "5400s"), ("1m1s1ms", "61.001s"), ("8760h", "31536000s"), ("000001s", "1s"),
    ],
)  # fmt: skip
def test_durations(text: str, expected: str) -> None:
    """As Go writes them, given in protobuf's form."""
    actual = words.duration(text)

    assert expected == actual


@pytest.mark.parametrize(
    "text",
    ["", "0s", "0.9ms", "1", "s", "1 s", "1d", "-1s", "1s ", "1s\n", "8761h", "1e3s", "soon", "\u0661s", "1s,2s"],
)
def test_what_is_no_duration(text: str) -> None:
    """Nothing else, nothing under a millisecond, nothing over a year."""
    with pytest.raises(ValueError, match="accepted: "):
        words.duration(text)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (words.grpc_services, "pkg.Service", ("pkg.Service",)),
        (words.grpc_services, "b.B, a.A ,b.B", ("a.A", "b.B")),
        (words.grpc_services, "Service", ("Service",)),
        (words.grpc_services, "a" * 200, ("a" * 200,)),
        (words.grpc_services, "a" * 201, None),
        (words.grpc_services, "a..b", None),
        (words.grpc_services, "a/b", None),
        (words.grpc_services, "1a", None),
        (words.grpc_services, "", None),
        (words.grpc_services, ",".join(f"a{n}" for n in range(201)), None),
        (words.export_to, "*", frozenset("*")),
        (words.export_to, "a, b,a", frozenset("ab")),
        (words.export_to, "a*", None),
        (words.export_to, "A", None),
        (words.export_to, "", None),
        (words.upstream, "enabled", True),
        (words.upstream, "disabled", False),
        (words.upstream, "grpc, 50051", ("grpc", "50051")),
        (words.upstream, "65536", None),
        (words.upstream, "\u0661", None),
        (words.upstream, "enabled,", None),
        (words.upstream, "Enabled", None),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_parsers(parse: Any, text: str, expected: Any) -> None:
    """Read, or refused with a sentence where nothing is expected."""
    if expected is None:
        with pytest.raises(ValueError, match="accepted: "):
            parse(text)
    else:
        assert expected == parse(text)


def test_the_table_knows_every_annotation_of_the_contract() -> None:
    """None is known by name only."""
    assert set(names.ANNOTATIONS_ON_SERVICES) == set(SERVICE)


def test_no_words_no_wishes() -> None:
    """A Service that says nothing is judged by its ports."""
    assert read_service_annotations({"example.com/retry": "x"}, "Service a/b") == ServiceWords()


def test_good_words_count_beside_bad_ones() -> None:
    """One bad value takes nothing from the others; each problem names place, found and accepted."""
    found = read_service_annotations(
        {names.RETRY: "safe", names.LB_POLICY: "random", names.MAX_TIMEOUT: "3s", "evenkeel.dev/retries": "1"},
        "Service shop/orders",
    )

    assert found.policy == Policy(LbPolicy.ROUND_ROBIN, Retry.SAFE, "3s")
    assert [(problem.code, str(problem)) for problem in found.problems] == [
        (
            "bad-annotation",
            (
                "Service shop/orders: annotation evenkeel.dev/lb-policy: found 'random', left out; "
                "accepted: round_robin, least_request"
            ),
        ),
        (
            "unknown-annotation",
            "Service shop/orders: unknown annotation 'evenkeel.dev/retries'; did you mean evenkeel.dev/retry?",
        ),
    ]


@pytest.mark.parametrize(
    ("key", "text", "capture", "health_check", "codes"),
    [
        (names.CAPTURE, "disabled", False, False, []),
        (names.CAPTURE, "enabled", True, False, []),
        (names.CAPTURE, "yes", None, False, ["bad-annotation"]),
        (names.HEALTH_CHECK, "off", None, False, []),
        (names.HEALTH_CHECK, "grpc", None, True, []),
        (names.HEALTH_CHECK, "http", None, False, ["bad-annotation"]),
        (names.RETRY, "off", None, False, []),
    ],
)
def test_capture_and_health_checks(
    key: str, text: str, capture: bool | None, health_check: bool, codes: list[str]
) -> None:
    """Said or not said; a wrong word counts as not said, and is told."""
    found = read_service_annotations({key: text}, "")

    assert (found.capture, found.health_check, found.policy.health_check) == (capture, health_check, health_check)
    assert [problem.code for problem in found.problems] == codes
