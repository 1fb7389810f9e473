"""What is put into a Pod, and what is not where there is no room."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import catalog, injector, namespace, service, view_of_pod
from webhook.core import names
from webhook.core.configuration import annotation_bytes
from webhook.core.model import SidecarSettings
from webhook.core.render import ANNOTATION_LIMIT

MANY = catalog(*[service(f"s{number}") for number in range(300)])


def sidecar(known: Any = None, settings: SidecarSettings | None = None, **pod: Any) -> Any:
    """Give the sidecar of a Pod."""
    outcome = injector(settings).admit(view_of_pod(**pod), known or catalog(), None)
    assert outcome.sidecar is not None
    return outcome.sidecar


@pytest.mark.parametrize(
    ("context", "ranged", "expected"),
    [
        (None, False, 101), ({}, False, 101), ({"runAsUser": None}, False, 101), ({"runAsUser": 0}, False, 101),
        ({"runAsUser": 7}, False, None), (None, True, None), ({"runAsUser": 0}, True, None),
    ],
)  # fmt: skip
def test_the_uid(context: Any, ranged: bool, expected: int | None) -> None:
    """Envoy's, but where the Pod or OpenShift chooses one; root is no choice, the sidecar would never start."""
    annotations = {names.OPENSHIFT_UID_RANGE: "1000/10"} if ranged else {}
    made = sidecar(catalog(namespace(annotations=annotations)), securityContext=context)

    assert made.container["securityContext"].get("runAsUser") == expected
    assert made.container["securityContext"]["runAsNonRoot"] is True


def test_sidecars_are_different_users() -> None:
    """Another one for another Pod, the same for the same; few enough to be kept, and none that a Pod may not have."""
    pod, known, judge = view_of_pod(), catalog(), injector()

    def uid(draw: str) -> int:
        made = judge.admit(pod, known, None, draw=draw).sidecar
        assert made is not None
        return made.container["securityContext"]["runAsUser"]

    drawn = Counter(uid(f"0ab1-{number}") for number in range(1000))

    again = view_of_pod(
        initContainers=[
            {
                "name": names.SIDECAR,
                "restartPolicy": "Always",
                "securityContext": {"runAsUser": 10_117},
                "volumeMounts": [{"name": names.VOLUME}],
            }
        ]
    )
    mended = injector().admit(again, known, None, draw="0ab1-7").sidecar

    assert mended is not None
    assert mended.container["securityContext"]["runAsUser"] == 10_117
    assert uid("0ab1-7") == uid("0ab1-7")
    assert len(drawn) == 64
    # A node runs 250 Pods at most, a quarter of these: then no uid needs more than the 128 instances that it has.
    assert max(drawn.values()) / 4 * 7 < 128
    assert 10_000 < min(drawn) <= max(drawn) < 65_536


@pytest.mark.parametrize(
    ("grace", "seconds", "expected"),
    [
        (None, 8, 8),
        (30, 8, 8),
        (9, 8, 8),
        (8, 8, 7),
        (2, 8, 1),
        (1, 8, None),
        (0, 8, None),
        (-1, 8, None),
        (None, 40, 29),
        (30, 0, None),
    ],
)
def test_how_long_the_ingress_outstays_the_news(grace: int | None, seconds: int, expected: int | None) -> None:
    """Always shorter than the grace period, or Kubernetes refuses the Pod."""
    settings = SidecarSettings(linger_seconds=seconds)
    made = sidecar(settings=settings, annotations={names.APP_PORT: "8080"}, terminationGracePeriodSeconds=grace)

    assert made.container.get("lifecycle") == (expected and {"preStop": {"sleep": {"seconds": expected}}})


def test_without_an_ingress_nothing_lingers() -> None:
    """Egress stops after the app, as every native sidecar does."""
    assert "lifecycle" not in sidecar().container


@pytest.mark.parametrize("taken", [0, 1000, 100_000, 200_000, 240_000, 247_000])
def test_annotations_never_pass_the_limit(taken: int) -> None:
    """However much the user's own take; and what room there is, is used."""
    user = {"example.com/blob": "x" * taken}
    outcome = injector().admit(view_of_pod(annotations=user), MANY, None)

    assert outcome.sidecar is not None
    total = annotation_bytes({**user, **outcome.sidecar.annotations})
    assert ANNOTATION_LIMIT * 0.95 < total <= ANNOTATION_LIMIT
    [warning] = outcome.warnings
    left_out = 300 - len(outcome.sidecar.upstreams)
    assert warning.startswith(f"{left_out} Services are left out")


@pytest.mark.parametrize("words", [{names.CAPTURE: "enabled"}, {names.CAPTURE: "enabled", names.DISCOVERY: "xds"}])
def test_captures_and_pushed_endpoints_never_pass_the_limit(words: dict[str, str]) -> None:
    """They take several times the room; who is left out is not captured either, and what is captured has a listener."""
    user = {**words, "example.com/blob": "x" * 100_000}
    outcome = injector().admit(view_of_pod(annotations=user), replace(MANY, trust="PEM"), None)

    assert outcome.sidecar is not None
    total = annotation_bytes({**user, **outcome.sidecar.annotations})
    assert ANNOTATION_LIMIT * 0.9 < total <= ANNOTATION_LIMIT
    captured = {f"{one.service}:50051" for one in outcome.sidecar.captures.captured}
    assert captured == set(outcome.sidecar.upstreams)
    assert 10 < len(captured) < 300
    assert outcome.sidecar.annotations[names.LISTENERS].count("envoy.config.listener.v3.Listener") == len(captured) + 1


def test_what_we_once_wrote_takes_no_room() -> None:
    """It is written over."""
    old = dict.fromkeys(names.WRITTEN, "x" * 50_000)

    assert sidecar(MANY, annotations=old).upstreams == sidecar(MANY).upstreams


def test_the_chosen_default_is_kept() -> None:
    """Whatever else has to be left out."""
    made = sidecar(MANY, annotations={names.DEFAULT_UPSTREAM: "s99", "example.com/blob": "x" * 245_000})

    assert "s99.shop:50051" in made.upstreams
    assert len(made.upstreams) < 10


def test_no_room_is_a_skip() -> None:
    """With a warning: nothing of the Pod's own is thrown away."""
    outcome = injector().admit(view_of_pod(annotations={"a": "x" * 260_000}), MANY, None)

    assert outcome.skip is not None
    assert outcome.skip.reason == "annotations-full"
    assert outcome.warnings == (f"no sidecar (annotations-full): {outcome.skip.detail}",)


def test_a_very_large_namespace_is_not_rendered_to_be_thrown_away() -> None:
    """Three thousand Services cost a few renderings of what fits."""
    huge = catalog(*[service(f"s{number}") for number in range(3000)])

    assert 100 < len(sidecar(huge).upstreams) < 300
