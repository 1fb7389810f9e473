"""What stands in for the images of the examples' manifests: a real Envoy, and small gRPC programs."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Final

from webhook.core.model import SidecarSettings
from webhook.data import data_folder
from webhook.demo.admission import DemoError
from webhook.node.image import Image

_SERVERS: Final = {
    "asia.gcr.io/hoge/hoge-app:latest": "50051",
    "grpc-server:latest": "12345",
    "docker.io/salrashid123/be_xds_server": "50051",
    "grpc-k8s-lb:latest": "8080",
    "productcatalogservice:latest": "3550",
}
_CALLERS: Final = (
    "asia.gcr.io/hoge/hoge-gateway:latest",
    "grpc-client:latest",
    "docker.io/salrashid123/fe_xds_server",
    "frontend:latest",
)


def envoy_binary() -> Path:
    """Find Envoy's program.

    Raises DemoError, saying what to install, where there is none.
    """
    found = importlib.util.find_spec("envoy")
    for folder in (found.submodule_search_locations or ()) if found else ():
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return binary
    raise DemoError("no Envoy is installed; install evenkeel with its extra `demo`")


def images(folder: Path) -> dict[str, Image]:
    """Give every image that the examples and the sidecar name; start scripts are written into a folder."""
    made = {SidecarSettings().image: Image(files={"/usr/local/bin/envoy": envoy_binary()}, entrypoint=())}
    for image, port in _SERVERS.items():
        made[image] = program(folder / f"server-{port}", "server.py", port)
    for image in _CALLERS:
        made[image] = program(folder / "caller", "gateway.py")
    return made


def program(script: Path, name: str, *arguments: str) -> Image:
    """Give an image whose /app/app is one of the programs of examples/echo; `script` is written."""
    words = (sys.executable, str(data_folder("examples") / "echo" / name), *arguments)
    script.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n")
    script.chmod(0o755)
    return Image(files={"/app/app": script}, entrypoint=("/app/app",))
