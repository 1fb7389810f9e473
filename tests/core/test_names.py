"""The names of the contract."""

from __future__ import annotations

from tests.builders import templates
from webhook.core import names

WORDS = {name: value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}


def test_every_key_is_under_the_domain() -> None:
    """But those of others, which name theirs."""
    keys = (*names.ANNOTATIONS_ON_PODS, *names.ANNOTATIONS_ON_SERVICES, *names.WRITTEN, *names.LABELS_ON_NAMESPACES)

    assert [key for key in keys if not key.startswith("evenkeel.dev/")] == []


def test_no_key_is_read_and_written() -> None:
    """What we write is never taken for somebody's wish."""
    assert set(names.WRITTEN) & {*names.ANNOTATIONS_ON_PODS, *names.ANNOTATIONS_ON_SERVICES} == set()


def test_every_configuration_annotation_is_a_file() -> None:
    """Each with a name of its own."""
    assert set(names.FILES) == {*names.CONFIGURATION, *names.AT_TIMES}
    assert len(set(names.FILES.values())) == len(names.FILES)


def test_names_of_kubernetes_are_within_their_limits() -> None:
    """A DNS label for container and volume, 63 characters for the name of a key."""
    assert max(map(len, (names.SIDECAR, names.VOLUME))) <= 63
    assert max(len(key.partition("/")[2]) for key in WORDS.values() if "/" in key) <= 63


def test_the_probe_s_port_name_is_within_its_limit() -> None:
    """Kubernetes takes 15 characters."""
    [port] = templates().sidecar._document["ports"]

    assert 0 < len(port["name"]) <= 15
