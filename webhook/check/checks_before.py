"""What is looked at before installation, in order."""

from __future__ import annotations

from typing import Final

from webhook.check import judge_before as judge
from webhook.check.model import Finding, ok
from webhook.check.run import Check, Context
from webhook.kube import resources


async def reachable(context: Context) -> Finding:
    """Ask the API server anything at all."""
    await context.facts.version()
    return ok()


async def server_version(context: Context) -> Finding:
    """Look at the API server's version."""
    found = await context.facts.version()
    return judge.judge_server(found.major, found.minor, found.git)


async def _kubelets(context: Context) -> Finding:
    return judge.judge_kubelets(await context.facts.listed(resources.NODES))


async def admission(context: Context) -> Finding:
    """Look at what the API server serves."""
    return judge.judge_admission(await context.facts.served("admissionregistration.k8s.io/v1"))


async def _permissions(context: Context) -> Finding:
    wanted = judge.needed_to_install(context.place.namespace)
    return judge.judge_permissions({one: await context.facts.may_i(one) for one in wanted})


async def _cert_manager(context: Context) -> Finding:
    return judge.judge_cert_manager(await context.facts.served(judge.CERT_MANAGER))


async def _meshes(context: Context) -> Finding:
    return judge.judge_meshes(await context.facts.listed(resources.MUTATING_WEBHOOKS))


_CLUSTER: Final = "Kubernetes"
_YOU: Final = "installing"
REACHABLE: Final = Check(_CLUSTER, "api-reachable", "the API server answers", reachable)
_UP: Final = (REACHABLE.name,)
SERVER: Final = Check(_CLUSTER, "api-version", "the API server is 1.30 or newer", server_version, _UP)
KUBELETS: Final = Check(_CLUSTER, "kubelet-version", "every Linux kubelet is 1.29 or newer", _kubelets, _UP)
ADMISSION: Final = Check(_CLUSTER, "admission-api", "admission webhooks and policies are served", admission, _UP)

BEFORE: Final = (
    REACHABLE,
    SERVER,
    KUBELETS,
    ADMISSION,
    Check(_YOU, "permissions", "you may create what the installation needs", _permissions, _UP),
    Check(_YOU, "cert-manager", "what makes the certificate", _cert_manager, _UP),
    Check(_YOU, "other-meshes", "no other mesh injects Pods here", _meshes, _UP),
)
