"""Runs commands in process, and manifests for them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from webhook.cli.main import main

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec:
  clusterIP: None
  selector: {app: orders}
  ports: [{name: grpc, port: 50051}]
"""
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {evenkeel.dev/inject: enabled}
"""
POD = """\
# calls orders
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop   # ours
spec:
  containers:
    - name: web
      image: web
"""
KINDS = {
    "Pod": ("v1", ()),
    "ReplicationController": ("v1", ("spec", "template")),
    "Deployment": ("apps/v1", ("spec", "template")),
    "StatefulSet": ("apps/v1", ("spec", "template")),
    "DaemonSet": ("apps/v1", ("spec", "template")),
    "ReplicaSet": ("apps/v1", ("spec", "template")),
    "Job": ("batch/v1", ("spec", "template")),
    "CronJob": ("batch/v1", ("spec", "jobTemplate", "spec", "template")),
}


class Ran(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: list[str]
    """The lines of standard error."""


class Shell:
    """Runs `evenkeel` in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capture = capture

    def write(self, name: str, text: str) -> str:
        """Write a file and give its name."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(text.encode())
        return name

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command and take what it wrote."""
        self._monkeypatch.chdir(self.folder)
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(list(arguments))
        out, err = self._capture.readouterr()
        return Ran(code, out.decode(), err.decode().splitlines())


def workload(kind: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """Make an object of a kind with a pod template."""
    version, path = KINDS[kind]
    template: dict[str, Any] = {"spec": {"containers": [{"name": "web", "image": "web"}], **spec}}
    for key in reversed(path):
        template = {key: template}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, **template}


def as_list(*objects: dict[str, Any]) -> str:
    """Give objects as `kubectl get -o json` writes them."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}, indent=4) + "\n"
