"""What the end-to-end tests share: a sandbox, a node, the webhook as a process, and what they apply."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from tests.e2e.kit import apps
from webhook.demo.admission import Webhook
from webhook.demo.calls import Callers
from webhook.demo.cluster import Cluster, Deployment
from webhook.demo.images import images, program
from webhook.node import sandbox
from webhook.node.node import Node

HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="session")
def _sandbox():
    """Skip outside a sandbox, where a node could not make networks and mounts."""
    if not sandbox.inside():
        pytest.skip("not in a sandbox: run `python -m webhook.node.sandbox -- python -m pytest tests/e2e`")


@dataclass(frozen=True)
class World:
    """A cluster on this machine."""

    cluster: Cluster
    node: Node
    webhook: Webhook

    async def apply(self, name: str, namespace: str) -> None:
        """Apply one of tests/e2e/manifests."""
        documents = yaml.safe_load_all((HERE / "manifests" / f"{name}.yaml").read_text())
        await self.cluster.apply(documents, namespace=namespace)

    def deployment(self, namespace: str, name: str) -> Deployment:
        """Give a Deployment that was applied."""
        return self.cluster.deployments[namespace, name]

    def callers(self, namespace: str, name: str = "caller") -> Callers:
        """Give the client Pods of a Deployment."""
        return Callers(self.deployment(namespace, name).pods)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory) -> AsyncIterator[World]:
    """Start the webhook and a node; images `grpc-echo` and `grpc-caller` are the examples' programs.

    Those of tests/apps are made when a Pod first names one: some need a language that may be absent.
    """
    folder = tmp_path_factory.mktemp("world")
    settings = folder / "settings.yaml"
    settings.write_text("sidecar: {privileged_ports: true}\n")
    known = {
        **images(folder),
        "grpc-echo": program(folder / "grpc-echo", "server.py"),
        "grpc-caller": program(folder / "grpc-caller", "gateway.py"),
    }
    async with (
        Webhook(folder, flags=("--settings", str(settings))) as webhook,
        Node(images=known, fallback=apps.images(folder), folder=folder / "pods") as node,
    ):
        yield World(Cluster(node, webhook), node, webhook)
