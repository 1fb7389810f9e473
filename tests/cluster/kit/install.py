"""Evenkeel on the test cluster, installed as its README says, and what tests ask of it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.cluster.kit.rest import Json, RestError
from tests.cluster.kit.world import World, gone
from webhook.core import names

ROOT: Final = Path(__file__).parents[3]
NAMESPACE: Final = names.SYSTEM_NAMESPACE
WEBHOOK: Final = "evenkeel-webhook"
RECONCILER: Final = "evenkeel-reconciler"
XDS: Final = "evenkeel-xds"
DEPLOYMENTS: Final = (WEBHOOK, RECONCILER, XDS)
_LIMIT: Final = 60.0
_ACCOUNTS: Final = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def render(kustomize: Path, overlay: str) -> list[Json]:
    """Give the objects of an overlay of deploy/."""
    folder = ROOT / "deploy" / "overlays" / overlay
    ran = subprocess.run([kustomize, "build", folder], capture_output=True, check=True, text=True)
    return [one for one in yaml.safe_load_all(ran.stdout) if one]


class Installed:
    """What is installed, and how it does."""

    def __init__(self, world: World, objects: list[Json]) -> None:
        self.world = world
        self.objects = objects

    @property
    def deployments(self) -> tuple[str, ...]:
        """The names of its Deployments, those first that others wait for."""
        there = {one["metadata"]["name"] for one in self.objects if one["kind"] == "Deployment"}
        return tuple(name for name in DEPLOYMENTS if name in there)

    async def called(self, *, limit: float = _LIMIT) -> None:
        """Wait until the API server really brings us Pods: a dry run in a labelled namespace comes back injected."""
        await self.world.ensure("evenkeel-probe", {names.INJECT: names.ENABLED})
        deadline = time.monotonic() + limit
        while not injected(await self.dry_run("evenkeel-probe")):
            if time.monotonic() > deadline:
                words = [pod.describe() + pod.logs("webhook")[-2000:] for pod in self.replicas()]
                raise TimeoutError("\n".join([f"no Pod is injected after {limit:g} s", *words]))
            await asyncio.sleep(0.1)

    async def dry_run(self, namespace: str, **metadata: Any) -> Json:
        """Create a Pod by dry run and give it as it would be."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        found: Json = await self.world.rest.post(path, pod(**metadata), dryRun="All")
        return found

    def replicas(self, deployment: str = WEBHOOK) -> list[Any]:
        """Give the live Pods of one of our Deployments."""
        return self.world.kubelet.running(NAMESPACE, deployment)

    async def metric(self, name: str, deployment: str = WEBHOOK, **labels: str) -> float:
        """Give a metric's value, added up over the live replicas and over the labels that are not named."""
        return sum([await scrape(one.address, name, **labels) for one in self.replicas(deployment)])

    async def scale(self, deployment: str, replicas: int) -> None:
        """Have so many replicas, and wait until it is so."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}"
        await self.world.rest.patch(path, {"spec": {"replicas": replicas}})
        await self.world.available(NAMESPACE, deployment)
        if not replicas:
            await self.world.gone(NAMESPACE, f"app.kubernetes.io/component={deployment.removeprefix('evenkeel-')}")

    async def restart(self, deployment: str) -> None:
        """Replace every replica, as `kubectl rollout restart` does."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}"
        annotations = {"kubectl.kubernetes.io/restartedAt": str(time.time())}
        await self.world.rest.patch(path, {"spec": {"template": {"metadata": {"annotations": annotations}}}})
        await self.world.available(NAMESPACE, deployment)


def accounts(kustomize: Path) -> list[Json]:
    """Give what is shipped of service accounts, roles and bindings."""
    return [one for one in render(kustomize, "self-managed") if one["kind"] in _ACCOUNTS]


@asynccontextmanager
async def installed(world: World, objects: list[Json], *, wait: bool = True) -> AsyncIterator[Installed]:
    """Install Evenkeel for a while, and take it away again as the README says."""
    world.run_pods_of.add(NAMESPACE)
    found = Installed(world, objects)
    try:
        await world.apply(objects)
        if wait:
            for deployment in found.deployments:
                await world.available(NAMESPACE, deployment)
            await found.called()
        yield found
    finally:
        await _hurry(world)
        await uninstall(world, objects)


async def _hurry(world: World) -> None:
    """Take our Deployments away without waiting for their Pods to drain: whoever wants to see that does so before."""
    for deployment in DEPLOYMENTS:
        with gone():
            await world.rest.delete(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{deployment}")
    for one in await world.pods(NAMESPACE):
        with gone():
            await world.rest.delete(
                f"/api/v1/namespaces/{NAMESPACE}/pods/{one['metadata']['name']}", gracePeriodSeconds=0
            )


async def uninstall(world: World, objects: list[Json]) -> None:
    """Do what `kubectl delete -k` does, and wait until it is done."""
    await world.delete(reversed(objects))
    # Nobody calls them any more, so nothing is lost by not waiting until they have drained.
    await world.rest.delete(f"/api/v1/namespaces/{NAMESPACE}/pods", gracePeriodSeconds=0)
    deadline = time.monotonic() + _LIMIT
    while await world.exists(f"/api/v1/namespaces/{NAMESPACE}"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"namespace {NAMESPACE} is still there after {_LIMIT:g} s")
        await asyncio.sleep(0.1)


def pod(**metadata: Any) -> Json:
    """Make a Pod that every Pod Security Standard lets in."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "app", "image": "grpc-caller", "securityContext": security}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "some", **metadata},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2},
    }


def injected(document: Json) -> bool:
    """Say whether a Pod has the sidecar."""
    return any(one["name"] == names.SIDECAR for one in document["spec"].get("initContainers") or ())


async def scrape(address: str, name: str, *, port: int = 8080, path: str = "/metrics", **labels: str) -> float:
    """Give a metric's value, added up over the labels that are not named."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        text = (await client.get(f"http://{address}:{port}{path}")).text
    return total(text, name, **labels)


def total(text: str, name: str, /, **labels: str) -> float:
    """Add up the series of a metric that have these labels."""
    series = re.findall(rf"^{re.escape(name)}(?:\{{(.*?)\}})? (\S+)$", text, re.MULTILINE)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for found, value in series if all(one in found for one in wanted))


async def until(holds: Callable[[], Any], what: str, *, limit: float = _LIMIT) -> Any:
    """Await a coroutine function again and again until it gives something true, and give that."""
    deadline = time.monotonic() + limit
    while not (found := await _quiet(holds)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not {what} after {limit:g} s")
        await asyncio.sleep(0.1)
    return found


async def _quiet(holds: Callable[[], Any]) -> Any:
    try:
        return await holds()
    except (RestError, httpx.HTTPError):
        return None
