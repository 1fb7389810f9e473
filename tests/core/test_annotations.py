"""Every parser of a Pod's annotations, at its edge and beyond."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core import annotations, names
from webhook.core.annotations import (
    POD,
    NamespaceWords,
    namespace_words,
    nearest,
    ours,
    read_pod_annotations,
    shown,
)
from webhook.core.model import DiscoveryMode, Mode, Overrides, UpstreamRef

L63, L64 = "a" * 63, "a" * 64

ACCEPTED: list[tuple[Any, str, Any]] = [
    (annotations.port, "1", 1),
    (annotations.port, "65535", 65535),
    (annotations.port, "08080", 8080),
    (annotations.reference, "orders", UpstreamRef("orders", None, None)),
    (annotations.reference, " orders.shop:50051 ", UpstreamRef("orders", "shop", "50051")),
    (annotations.reference, "orders:grpc", UpstreamRef("orders", None, "grpc")),
    (annotations.reference, f"{L63}.{L63}:{'a' * 15}", UpstreamRef(L63, L63, "a" * 15)),
    (annotations.reference, "0:65535", UpstreamRef("0", None, "65535")),
    (annotations.references, "b,a,b", (UpstreamRef("a", None, None), UpstreamRef("b", None, None))),
    (annotations.image, "docker.io/envoyproxy/envoy:v1.40.0", "docker.io/envoyproxy/envoy:v1.40.0"),
    (annotations.image, "localhost/envoy", "localhost/envoy"),
    (
        annotations.image,
        "registry:5000/a/b__c/d--e.f@sha256:" + "0" * 64,
        "registry:5000/a/b__c/d--e.f@sha256:" + "0" * 64,
    ),
    (annotations.cpu, "1m", "1m"),
    (annotations.cpu, "0.001", "0.001"),
    (annotations.memory, "1Mi", "1Mi"),
    (annotations.memory, "1048576", "1048576"),
    (annotations.concurrency, "1", 1),
    (annotations.concurrency, "128", 128),
    (annotations.switch, "enabled", True),
    (annotations.switch, "disabled", False),
]

REFUSED: list[tuple[Any, str]] = [
    *(
        (annotations.port, text)
        for text in ("", "0", "65536", "-1", "+1", " 80", "8e3", "http", "\u0668", "100000", "80\n")
    ),
    *(
        (annotations.reference, text)
        for text in ("", ".", "a.", ".a", "a:", "a:0", "a:65536", "a:-", "a.b.c", "A", "a_b")
    ),
    *(
        (annotations.reference, text)
        for text in (L64, f"a.{L64}", f"a:{'a' * 16}", "-a", "a-", "a:1:2", "a b", "a:GRPC")
    ),
    *((annotations.references, text) for text in ("", ",", "a,", "a,,b", "a;b", ",".join(["a"] * 1001))),
    *(
        (annotations.image, text)
        for text in ("", "envoy", "envoyproxy/envoy", "docker.io/", "docker.io/Envoy", "a.b/c:")
    ),
    *(
        (annotations.image, text)
        for text in ("a.b/c@sha256:0", "a.b/c d", " a.b/c", "a.b/c\n", "a.b:\u0668/c", "a.b/" + "c" * 510)
    ),
    *(
        (annotations.cpu, text)
        for text in ("", "0", "0.9m", "-1", "1 ", "1K", "one", "\u0663", "1e", "0x1", "nan", "inf")
    ),
    *((annotations.memory, text) for text in ("", "0", "1048575", "1023Ki", "512", "1Zi", "1mi")),
    *((annotations.concurrency, text) for text in ("", "0", "129", "1.5", "-1", "\u0662", "0128")),
    *((annotations.switch, text) for text in ("", "true", "Enabled", "on", "enabled ")),
]


@pytest.mark.parametrize(("parse", "text", "expected"), ACCEPTED)
def test_accepted(parse: Any, text: str, expected: Any) -> None:
    """What is just within the rule is read."""
    actual = parse(text)

    assert expected == actual


@pytest.mark.parametrize(("parse", "text"), REFUSED)
def test_refused(parse: Any, text: str) -> None:
    """What is just beyond is refused, with a sentence of what would do."""
    with pytest.raises(ValueError, match="accepted: "):
        parse(text)


def test_the_table_knows_every_annotation_of_the_contract() -> None:
    """None is known by name only."""
    assert set(names.ANNOTATIONS_ON_PODS) == set(POD)


def test_no_words_no_overrides() -> None:
    """A Pod that says nothing asks for nothing; other people's annotations are their own."""
    reading = read_pod_annotations({"app": "a"}, {"example.com/upstreams": "x"})

    assert (reading.overrides, reading.problems, reading.warnings) == (Overrides(), (), ())


def test_every_problem_is_told_at_once_and_in_order() -> None:
    """Each names the annotation, what was found and what is accepted."""
    reading = read_pod_annotations({}, {names.PROXY_CONCURRENCY: "x", names.ACCESS_LOG: "x", names.APP_PORT: "x"})

    assert reading.problems == (
        "annotation evenkeel.dev/access-log: found 'x'; accepted: enabled, disabled",
        "annotation evenkeel.dev/app-port: found 'x'; accepted: a port number from 1 to 65535",
        "annotation evenkeel.dev/proxy-concurrency: found 'x'; accepted: a number of worker threads from 1 to 128",
    )


@pytest.mark.parametrize(
    ("labels", "found", "expected"),
    [
        (
            {},
            {"evenkeel.dev/upstrems": ""},
            "unknown annotation 'evenkeel.dev/upstrems'; did you mean evenkeel.dev/upstreams?",
        ),
        (
            {},
            {"evenkeel.io/app-port": ""},
            "unknown annotation 'evenkeel.io/app-port'; did you mean evenkeel.dev/app-port?",
        ),
        ({}, {"evenkeel.dev/inject": ""}, "annotation evenkeel.dev/inject is ignored: it is a label"),
        ({}, {"evenkeel.dev/": ""}, "unknown annotation 'evenkeel.dev/'"),
        ({}, {"evenkeel.dev/zzz": ""}, "unknown annotation 'evenkeel.dev/zzz'"),
        ({"evenkeel.dev/app-port": "1"}, {}, "label evenkeel.dev/app-port is ignored: it is an annotation"),
        ({"evenkeel.dev/enforce": "enabled"}, {}, "unknown label 'evenkeel.dev/enforce'"),
    ],
)
def test_warnings(labels: dict[str, str], found: dict[str, str], expected: str) -> None:
    """What is only odd is told, with the nearest known key, and refuses nothing."""
    reading = read_pod_annotations(labels, found)

    assert reading.warnings == (expected,)
    assert reading.problems == ()


def test_what_we_wrote_is_no_unknown_annotation() -> None:
    """A Pod that comes back with our annotations is not warned about them."""
    reading = read_pod_annotations({}, dict.fromkeys(names.WRITTEN, "x"))

    assert reading.warnings == ()


@pytest.mark.parametrize(
    ("word", "expected"), [("rond_robin", "; did you mean round_robin?"), ("random", ""), ("", ""), ("x" * 9999, "")]
)
def test_nearest(word: str, expected: str) -> None:
    """Only a likely typo gets a proposal."""
    actual = nearest(word, ("round_robin", "least_request"))

    assert expected == actual


def test_a_long_text_is_cut_in_messages() -> None:
    """What a stranger writes never floods a log; control characters are shown as such."""
    assert shown("x" * 61) == repr("x" * 60 + "...")
    assert shown("x" * 60) == repr("x" * 60)
    assert shown("\x1b\n") == r"'\x1b\n'"


def test_ours() -> None:
    """Our domain, and what looks as if it was meant to be."""
    keys = ["evenkeel.dev/x", "evenkeel.io/x", "evenkeel-x", "app.kubernetes.io/evenkeel", "dev/evenkeel.dev", ""]

    assert ours(keys) == ["evenkeel.dev/x", "evenkeel.io/x", "evenkeel-x"]


def test_mode_capture_and_discovery_of_a_pod() -> None:
    """Each is one of two words; what is not said is told apart from a no."""
    said = {names.MODE: "proxyless", names.CAPTURE: "disabled", names.DISCOVERY: "xds"}

    read = read_pod_annotations({}, said)

    assert read.overrides == Overrides(mode=Mode.PROXYLESS, capture=False, discovery=DiscoveryMode.XDS)
    assert (read.problems, read.warnings) == ((), ())
    assert Overrides() == Overrides(mode=Mode.SIDECAR, capture=None, discovery=None)


@pytest.mark.parametrize(
    ("key", "accepted"),
    [(names.MODE, "sidecar, proxyless"), (names.CAPTURE, "enabled, disabled"), (names.DISCOVERY, "dns, xds")],
)
def test_another_word_is_refused_with_those_that_are_known(key: str, accepted: str) -> None:
    """No case is guessed."""
    for text in ("XDS", "", "true"):
        read = read_pod_annotations({}, {key: text})

        assert read.problems == (f"annotation {key}: found {text!r}; accepted: {accepted}",)
        assert read.overrides == Overrides()


@pytest.mark.parametrize(
    ("found", "words", "problems"),
    [
        ({}, NamespaceWords(), []),
        ({"example.com/team": "a", names.OPENSHIFT_UID_RANGE: "1000/7"}, NamespaceWords(), []),
        (
            {names.CAPTURE: "enabled", names.DISCOVERY: "xds"},
            NamespaceWords(capture=True, discovery=DiscoveryMode.XDS),
            [],
        ),
        (
            {names.CAPTURE: "disabled", names.DISCOVERY: "dns"},
            NamespaceWords(capture=False, discovery=DiscoveryMode.DNS),
            [],
        ),
        (
            {names.CAPTURE: "yes", names.DISCOVERY: "xds"},
            NamespaceWords(None, DiscoveryMode.XDS),
            ["annotation evenkeel.dev/capture: found 'yes', treated as not set; accepted: enabled, disabled"],
        ),
        (
            {names.DISCOVERY: "eds"},
            NamespaceWords(),
            [
                (
                    "annotation evenkeel.dev/discovery: found 'eds', treated as not set; "
                    "accepted: dns, xds; did you mean xds?"
                )
            ],
        ),
        (
            {"evenkeel.dev/captures": "enabled"},
            NamespaceWords(),
            ["unknown annotation 'evenkeel.dev/captures'; did you mean evenkeel.dev/capture?"],
        ),
        (
            {"evenkeel.io/discovery": "xds"},
            NamespaceWords(),
            ["unknown annotation 'evenkeel.io/discovery'; did you mean evenkeel.dev/discovery?"],
        ),
    ],
)
def test_words_of_a_namespace(found: dict[str, str], words: NamespaceWords, problems: list[str]) -> None:
    """What is wrong counts as not said, and is told; strangers' annotations are nobody's business."""
    assert namespace_words(found) == (words, tuple(problems))
