"""Command lines and variables are made by the kubelet's rules."""

import pytest

from webhook.node.environment import command_line, environment, expand
from webhook.node.errors import ContainerError
from webhook.node.fields import PodView
from webhook.node.image import Image
from webhook.node.store import Store

IMAGE = Image({}, ("/entry", "$(A)"), ("cmd",), env={"FROM_IMAGE": "1"})
POD = PodView(
    {"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {"containers": []}},
    "10.244.0.2",
    "10.244.0.1",
    "n",
)
STORE = Store({("shop", "settings"): {"colour": "green", "not a name": "x"}}, {("shop", "login"): {"word": "open"}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(NONE)", "$(NONE)"),
        ("$(A", "$(A"),
        ("$A", "$A"),
        ("$", "$"),
        ("$$", "$"),
        ("$()", "$()"),
        ("$($(A))", "$($(A))"),
    ],
)
def test_references_expand_as_in_the_kubelet(text, expected):
    """Known names are replaced, unknown ones stay, `$$` is a dollar."""
    assert expected == expand(text, {"A": "1", "B": "2"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("/entry", "$(A)", "cmd")),
        ({"args": ["$(A)"]}, ("/entry", "$(A)", "1")),
        ({"command": ["/own"]}, ("/own",)),
        ({"command": ["/own", "$(A)"], "args": ["x"]}, ("/own", "1", "x")),
    ],
)
def test_command_replaces_entrypoint_and_cmd_and_args_replace_cmd(given, expected):
    """The four cases of the Kubernetes documentation; the image's own words are not expanded."""
    assert expected == command_line({"image": "x", **given}, IMAGE, {"A": "1"})


def test_an_image_without_a_command_needs_one():
    """Nothing to run is an error of the container."""
    with pytest.raises(ContainerError, match="has no command"):
        command_line({"image": "x"}, Image({}, ()), {})


def test_variables_come_from_everywhere_and_see_earlier_ones():
    """Later ones overrule earlier ones; envFrom is first; a key that is no name is left out."""
    container = {
        "name": "app",
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "P_"}],
        "env": [
            {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "word"}}},
            {"name": "ALL", "value": "$(P_colour) $(WORD) $(LATER)"},
            {"name": "LATER", "value": "x"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}},
        ],
    }
    found = environment(container, IMAGE, POD, STORE)

    ours = {key: value for key, value in found.items() if key not in {"PATH", "HOME"}}
    assert {
        "HOSTNAME": "web",
        "FROM_IMAGE": "1",
        "P_colour": "green",
        "WORD": "open",
        "ALL": "green open $(LATER)",
        "LATER": "x",
        "IP": "10.244.0.2",
    } == ours


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            {"configMapKeyRef": {"name": "none", "key": "k"}},
            "ConfigMap shop/none was not given to this node; given are: shop/settings",
        ),
        ({"secretKeyRef": {"name": "login", "key": "k"}}, "Secret shop/login has no key 'k'; it has word"),
        ({"fieldRef": {"fieldPath": "spec.bogus"}}, "fieldRef 'spec.bogus' is not known"),
    ],
)
def test_what_is_missing_is_named(source, text):
    """The container waits with CreateContainerConfigError and the sentence."""
    with pytest.raises(ContainerError, match=text) as caught:
        environment({"name": "app", "env": [{"name": "X", "valueFrom": source}]}, IMAGE, POD, STORE)

    assert "CreateContainerConfigError" == caught.value.reason
