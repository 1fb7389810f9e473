"""cert-manager beside the test control plane: its own CRDs, its own controllers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from tests.cluster.kit.controlplane import ControlPlane, Paths
from tests.cluster.kit.process import Program
from tests.cluster.kit.rest import Json, Rest, documents, until
from tests.controlplane.build import module_folder

NAMESPACE: Final = "cert-manager"


@asynccontextmanager
async def cert_manager(plane: ControlPlane, rest: Rest, programs: Paths) -> AsyncIterator[Program]:
    """Have cert-manager in the cluster for a while; its objects stay when it goes."""
    await establish(rest, crds())
    if await _absent(rest):
        await plane.namespace(NAMESPACE)
    argv = [str(programs["cert-manager"]), f"--kubeconfig={plane.kubeconfig}"]
    program = Program(argv, plane.folder / "cert-manager.log")
    program.start()
    try:
        yield program
        program.check()
    finally:
        program.kill()


def crds() -> list[Json]:
    """Give cert-manager's CustomResourceDefinitions, from the sources of the very version that is built."""
    folder = module_folder("certmanager") / "deploy" / "crds"
    return [one for path in sorted(folder.glob("*.yaml")) for one in documents(path)]


async def establish(rest: Rest, definitions: Sequence[Json]) -> None:
    """Apply CustomResourceDefinitions, and wait until objects of their kinds can be applied."""
    for one in definitions:
        await rest.apply(one)
    await asyncio.gather(*(_served(rest, one) for one in definitions))


async def _served(rest: Rest, definition: Json) -> None:
    group, names = definition["spec"]["group"], definition["spec"]["names"]

    def known(found: Json) -> bool:
        return any(resource["kind"] == names["kind"] for resource in found["resources"])

    for version in (version["name"] for version in definition["spec"]["versions"] if version["served"]):
        path = f"/apis/{group}/{version}"
        await until(rest, path, known, refused=(404,))
        # Known a moment before it can be used.
        await until(rest, f"{path}/{names['plural']}", bool, refused=(404,))


async def _absent(rest: Rest) -> bool:
    namespaces = await rest.get("/api/v1/namespaces")
    return NAMESPACE not in {one["metadata"]["name"] for one in namespaces["items"]}
