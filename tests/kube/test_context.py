"""The namespace where none is given: as kubectl has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from webhook.kube.config import Access
from webhook.kube.context import usual_namespace


def kubeconfig(current: str | None, **namespaces: str | None) -> dict[str, Any]:
    """Make a kubeconfig with contexts and their namespaces."""
    contexts = [{"name": name, "context": {"namespace": place} if place else {}} for name, place in namespaces.items()]
    return {"contexts": contexts} | ({"current-context": current} if current else {})


@pytest.mark.parametrize(
    ("files", "context", "expected"),
    [
        pytest.param([kubeconfig("a", a="shop", b="bank")], None, "shop", id="the current context"),
        pytest.param([kubeconfig("a", a="shop", b="bank")], "b", "bank", id="the context asked for"),
        pytest.param([kubeconfig("a", a=None)], None, "default", id="a context without one"),
        pytest.param([kubeconfig("b", a="shop")], None, "default", id="no such context"),
        pytest.param([kubeconfig("a"), kubeconfig("b", a="shop", b="bank")], None, "shop", id="two files"),
        pytest.param([kubeconfig(None), kubeconfig("b", b="bank")], None, "bank", id="the first that says one"),
        pytest.param([[]], None, "default", id="no kubeconfig at all"),
        pytest.param(
            [{"current-context": "a", "contexts": [1, {"name": "a", "context": 7}]}], None, "default", id="odd"
        ),
    ],
)
def test_the_namespace_of_a_kubeconfig(files: list[Any], context: str | None, expected: str, tmp_path: Path) -> None:
    """Several files are one; what is wrong in them is for the connection to tell."""
    paths = [tmp_path / str(at) for at in range(len(files))]
    for path, document in zip(paths, files, strict=True):
        path.write_text(yaml.safe_dump(document))
    (tmp_path / "broken").write_text("{")
    joined = ":".join(map(str, [tmp_path / "absent", tmp_path / "broken", *paths]))

    assert expected == usual_namespace(Access(joined, context))


def test_inside_a_pod_it_is_the_pods(tmp_path: Path) -> None:
    """The file beside its token says which; without it `default`."""
    assert "default" == usual_namespace(Access(None, account=tmp_path))

    (tmp_path / "namespace").write_text("shop\n")

    assert "shop" == usual_namespace(Access(None, account=tmp_path))
