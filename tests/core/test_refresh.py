"""What a live Pod with a sidecar is given when Services change."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import pytest

from tests.builders import catalog, injector, pod, service
from webhook.core import names
from webhook.core.decide import carries_sidecar
from webhook.core.errors import PodRejected
from webhook.core.pod import Pod, read_pod


def live(*services: Any, **fields: Any) -> Pod:
    """Admit a Pod beside some Services and give it as it then lives."""
    document = pod(**fields)
    outcome = injector().admit(read_pod(document, "shop"), catalog(*services), None)
    changed = jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))
    return read_pod(changed, "shop")


def carried(of: Pod) -> dict[str, str]:
    """Give the annotations that a refresh would write, as a Pod has them."""
    return {key: of.annotations[key] for key in names.REFRESHED if key in of.annotations}


def test_nothing_differs_where_nothing_changed() -> None:
    """Else every live Pod would be written to for nothing."""
    known = catalog(service("orders"))
    pod_now = live(service("orders"))

    refreshed = injector().refresh(pod_now, known)

    assert refreshed == carried(pod_now)


def test_a_service_made_after_the_pod_reaches_it() -> None:
    """The same texts that a Pod created now would get, but for the bootstrap."""
    refreshed = injector().refresh(live(), catalog(service("orders")))

    assert refreshed == carried(live(service("orders")))
    assert "orders.shop" in refreshed[names.CLUSTERS]


def test_the_bootstrap_is_left_alone() -> None:
    """Envoy reads it once: another text there would be a lie about what it runs."""
    refreshed = injector().refresh(live(), catalog(service("orders"))) or {}

    assert names.BOOTSTRAP not in refreshed


def test_a_bad_annotation_of_a_live_pod_is_its_author_s() -> None:
    """Annotations can be changed on a live Pod; a wrong one changes nothing and is told."""
    broken = live(annotations={})
    broken.document["metadata"]["annotations"][names.APP_PORT] = "many"

    with pytest.raises(PodRejected, match="app-port"):
        injector().refresh(read_pod(broken.document, "shop"), catalog(service("orders")))


def test_where_nothing_fits_there_is_nothing_to_give() -> None:
    """A Pod whose own annotations have grown since."""
    full = live()
    full.document["metadata"]["annotations"]["example.com/notes"] = "x" * (256 * 1024)

    assert injector().refresh(read_pod(full.document, "shop"), catalog(service("orders"))) is None


def test_a_pod_carries_its_sidecar_or_not() -> None:
    """Container, volume and configuration, all three."""
    complete = live()
    emptied = read_pod({**complete.document, "metadata": {"name": "front-0"}}, "shop")

    assert carries_sidecar(complete)
    assert not carries_sidecar(emptied)
    assert not carries_sidecar(read_pod(pod(), "shop"))
