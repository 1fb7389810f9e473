"""The downward API speaks as the kubelet's does."""

from decimal import Decimal

import pytest

from webhook.node.errors import ContainerError
from webhook.node.fields import PodView, format_map, quantity

DOCUMENT = {
    "metadata": {
        "name": "w" * 70,
        "namespace": "shop",
        "uid": "u",
        "labels": {"b": "2", "a": "1"},
        "annotations": {"x/y": "z"},
    },
    "spec": {
        "containers": [
            {"name": "app", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "1"}}}
        ]
    },
}
POD = PodView(DOCUMENT, "10.244.0.2", "10.244.0.1", "node")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.namespace", "shop"),
        ("metadata.labels", 'a="1"\nb="2"'),
        ("metadata.labels['a']", "1"),
        ("metadata.annotations['x/y']", "z"),
        ("metadata.annotations['none']", ""),
        ("status.hostIP", "10.244.0.1"),
        ("spec.serviceAccountName", "default"),
    ],
)
def test_fields(path, expected):
    """Single values as they are, maps as sorted lines, absent keys empty."""
    assert expected == POD.field(path)


def test_values_are_quoted_as_in_go():
    """Quotes, backslashes, control characters; letters of any script stay."""
    assert r'k="a\"b\\c\nd\x01é\u200b"' == format_map({"k": 'a"b\\c\nd\x01é\u200b'})


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "requests.memory"}, "67108864"),
        ({"resource": "limits.memory", "divisor": "0"}, "67108864"),
    ],
)
def test_resources_are_rounded_up_to_the_divisor(reference, expected):
    """A request that is not given is the limit."""
    assert expected == POD.resource({"containerName": "app", **reference})


@pytest.mark.parametrize(
    ("text", "expected"), [("1", "1"), ("100m", "0.1"), ("1.5Gi", "1610612736"), ("2k", "2000"), ("1e3", "1000")]
)
def test_quantities(text, expected):
    """Decimal and binary suffixes, and exponents."""
    assert Decimal(expected) == quantity(text)


@pytest.mark.parametrize("text", ["", "x", "1Q", "1.2.3"])
def test_what_is_no_quantity_is_refused(text):
    """By a sentence that shows one."""
    with pytest.raises(ContainerError, match="no quantity"):
        quantity(text)


def test_a_host_name_has_63_characters_at_most():
    """A longer Pod name is cut."""
    assert "w" * 63 == POD.hostname
