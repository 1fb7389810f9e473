"""Where endpoints come from: by whose word, and what stands against it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest

from tests.builders import catalog, injector, namespace, pod, view_of_pod
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.model import DiscoveryMode, Namespace, Overrides, SidecarSettings
from webhook.core.pod import Pod, read_pod
from webhook.core.source import find_source, namespace_source

DNS, XDS = DiscoveryMode.DNS, DiscoveryMode.XDS


def known(wide: str | None, trust: str = "PEM") -> Catalog:
    """Give a catalog in which the namespace says this."""
    words = {} if wide is None else {names.DISCOVERY: wide}
    return replace(catalog(namespace("shop", annotations=words)), trust=trust)


def live(with_token: bool) -> Pod:
    """Give a Pod as it lives after its admission."""
    document = pod(annotations={names.DISCOVERY: "xds"} if with_token else {})
    outcome = injector().admit(read_pod(document, "shop"), known(None), None)
    changed = jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(outcome.operations)))
    return read_pod(changed, "shop")


@pytest.mark.parametrize(
    ("own", "wide", "usual", "expected", "said"),
    [
        (None, None, DNS, DNS, "setting sidecar.discovery"),
        (None, None, XDS, XDS, "setting sidecar.discovery"),
        (None, "xds", DNS, XDS, "annotation evenkeel.dev/discovery of namespace shop"),
        (None, "dns", XDS, DNS, "annotation evenkeel.dev/discovery of namespace shop"),
        (None, "eds", XDS, XDS, "setting sidecar.discovery"),
        (DNS, "xds", XDS, DNS, "annotation evenkeel.dev/discovery of the pod"),
        (XDS, "dns", DNS, XDS, "annotation evenkeel.dev/discovery of the pod"),
    ],
)
def test_whose_word_counts(
    own: Any, wide: str | None, usual: DiscoveryMode, expected: DiscoveryMode, said: str
) -> None:
    """The Pod's before its Namespace's before the operator's; a wrong word counts as not said."""
    settings = SidecarSettings(discovery=usual)

    found = find_source(view_of_pod(), Overrides(discovery=own), known(wide), settings)

    assert (found.mode, found.said, found.against) == (expected, said, "")


def test_without_a_ca_to_trust_endpoints_come_by_dns() -> None:
    """A token is sent to nobody unknown; the reason is told."""
    found = find_source(view_of_pod(), Overrides(), known("xds", trust=""), SidecarSettings())

    assert (found.mode, found.against) == (DNS, "it is not known which CA signs the certificate of evenkeel xds")


@pytest.mark.parametrize(
    ("with_token", "trust", "wide", "expected"),
    [
        (True, "PEM", "xds", XDS),
        (True, "", "xds", XDS),
        (True, "PEM", "dns", DNS),
        (False, "PEM", "xds", DNS),
        (False, "PEM", "dns", DNS),
    ],
)
def test_a_live_pod_has_a_token_for_life_or_none(
    with_token: bool, trust: str, wide: str, expected: DiscoveryMode
) -> None:
    """With one it may be pushed to or not; that the CA is unknown for a while changes nothing."""
    found = find_source(live(with_token), Overrides(), known(wide, trust), SidecarSettings(), live=True)

    assert found.mode == expected
    assert bool(found.against) is (not with_token and wide == "xds")


def test_a_namespace_that_nobody_described_says_nothing() -> None:
    """The operator's word counts."""
    assert namespace_source(Namespace("attic"), SidecarSettings()) == (DNS, "setting sidecar.discovery")
