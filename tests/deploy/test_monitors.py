"""The monitor of sidecars asks what the injector makes; by a real Prometheus see tests/cluster/test_monitoring.py."""

from __future__ import annotations

import re

import pytest

from tests.deploy.objects import COMPONENTS, read
from webhook.core import names
from webhook.core.model import Ports

[MONITOR] = read(COMPONENTS / "sidecar-monitor" / "sidecar-monitor.yaml")
[ENDPOINT] = MONITOR["spec"]["podMetricsEndpoints"]
KEEP, *ADDRESSES = ENDPOINT["relabelings"]


def test_pods_and_container_are_those_of_the_injector() -> None:
    """In every namespace, by the label that the injector gives, and of its containers the sidecar."""
    assert MONITOR["spec"]["selector"]["matchLabels"].keys() == {names.INJECTED}
    assert MONITOR["spec"]["namespaceSelector"] == {"any": True}
    assert (KEEP["action"], KEEP["regex"]) == ("keep", names.SIDECAR)


@pytest.mark.parametrize(
    ("address", "asked"),
    [("10.244.0.7", f"10.244.0.7:{Ports().probe}"), ("fd00:10:244::7", f"[fd00:10:244::7]:{Ports().probe}")],
)
def test_the_probe_port_is_asked_at_addresses_of_either_family(address: str, asked: str) -> None:
    """Prometheus' expressions are anchored at both ends; one that does not match changes nothing."""
    matching = [(one, found) for one in ADDRESSES if (found := re.fullmatch(one["regex"], address))]

    [(rule, match)] = matching
    assert rule["replacement"].replace("$1", match[1]) == asked
    assert (rule["sourceLabels"], rule["targetLabel"]) == (["__meta_kubernetes_pod_ip"], "__address__")
