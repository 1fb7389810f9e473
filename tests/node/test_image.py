"""What containers see of the program that runs them."""

from pathlib import Path

import pytest

from webhook.node import image


@pytest.mark.parametrize(
    ("prefix", "base", "package", "expected"),
    [
        ("/home/a/x/.venv", "/usr", "/home/a/x/webhook/node/image.py", []),
        ("/tmp/x/.venv", "/usr", "/tmp/x/webhook/node/image.py", ["/tmp/x"]),
        ("/tmp/v", "/mnt/python", "/opt/x/webhook/node/image.py", ["/mnt/python", "/tmp/v"]),
    ],
    ids=["nowhere hidden", "a checkout in tmp", "only its python"],
)
def test_what_containers_could_not_see_is_shown(monkeypatch, prefix, base, package, expected):
    """A checkout in a folder that containers get empty works like any other; no folder is shown twice."""
    monkeypatch.setattr("sys.prefix", prefix)
    monkeypatch.setattr("sys.base_prefix", base)
    monkeypatch.setattr(image, "__file__", package)

    assert expected == sorted(image.own_folders())
    assert all(Path(path) == source for path, source in image.own_folders().items())
