"""What is looked at in the namespaces that ask for sidecars, and at the end the Pod that shows whether all works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final, TypeVar

from webhook import __version__
from webhook.check import (
    judge_captures,
    judge_dns,
    judge_dry_run,
    judge_endpoints,
    judge_namespaces,
    judge_older,
    judge_pods,
    judge_runtimes,
    judge_services,
    judge_workloads,
)
from webhook.check.checks_before import REACHABLE
from webhook.check.checks_installation import chain, mutating, slices
from webhook.check.judge_access import ready_endpoints
from webhook.check.judge_control_plane import image_of, version_of
from webhook.check.judge_dry_run import Known, Tried
from webhook.check.model import Finding, Unknown, ok, skipped
from webhook.check.place import WEBHOOK
from webhook.check.run import Check, Context
from webhook.check.shipped import Permission
from webhook.core import names
from webhook.core.model import SidecarSettings
from webhook.core.workloads import DEFAULT_NAMESPACE
from webhook.kube import resources
from webhook.kube.errors import ClusterError, Forbidden, Invalid

_MOST_TRIED: Final = 3
_DNS_NAMESPACE: Final = "kube-system"

_Fact = TypeVar("_Fact")
_Look = Callable[[Context], Awaitable[Finding]]


async def _labels(context: Context) -> Finding:
    return judge_namespaces.judge_labels(judge_namespaces.by_name(await context.facts.namespaces()))


async def _endpoints(context: Context) -> Finding:
    facts = context.facts
    labelled = frozenset(await facts.labelled())
    spaces, settings = await facts.namespaces(), await context.installed.sidecar()
    pods = [*await facts.pods(), *await facts.injected()]
    if not any(True for _ in judge_captures.users_of_pushing([spaces[name] for name in labelled], pods, settings)):
        return ok("nobody asks for it")
    every = await facts.listed(resources.ENDPOINT_SLICES)
    return judge_endpoints.judge_endpoints(one for one in every if one["metadata"].get("namespace") in labelled)


async def _labelled(context: Context) -> Finding:
    return judge_namespaces.judge_labelled(await context.facts.labelled())


async def _system(context: Context) -> Finding:
    return judge_namespaces.judge_system(await context.facts.labelled(), await context.installed.sidecar())


def _where_labelled(look: _Look) -> _Look:
    """Skip a check that has nothing to look at."""

    @wraps(look)
    async def looked(context: Context) -> Finding:
        if not await context.facts.labelled():
            return skipped("no namespace asks for sidecars")
        return await look(context)

    return looked


def _of_this_version(look: _Look) -> _Look:
    """Skip a check that would compare what this version writes with what another wrote."""

    @wraps(look)
    async def looked(context: Context) -> Finding:
        deployment = await context.facts.own(resources.DEPLOYMENTS, WEBHOOK)
        version = version_of(image_of(deployment)) if deployment else None
        if version not in (None, __version__):
            return skipped(f"the webhook is of version {version}, this program of {__version__}")
        return await look(context)

    return looked


async def _words(context: Context) -> Finding:
    return judge_captures.judge_words(judge_namespaces.by_name(await context.facts.namespaces()))


@_where_labelled
async def _upstreams(context: Context) -> Finding:
    facts, settings = context.facts, await context.installed.sidecar()
    return judge_namespaces.judge_upstreams(await facts.labelled(), await facts.catalog(), settings)


@_where_labelled
async def _ambiguous(context: Context) -> Finding:
    facts, settings = context.facts, await context.installed.sidecar()
    return judge_namespaces.judge_ambiguous(await facts.labelled(), await facts.catalog(), settings)


@_where_labelled
async def _headless(context: Context) -> Finding:
    facts, settings = context.facts, await context.installed.sidecar()
    known = (await facts.labelled(), await facts.catalog())
    return judge_services.judge_headless(await facts.services(), *known, settings)


@_where_labelled
async def _captures(context: Context) -> Finding:
    facts, injector = context.facts, await context.installed.injector()
    return judge_captures.judge_captures(await facts.labelled(), await facts.catalog(), injector)


async def _runtimes(context: Context) -> Finding:
    if not (await context.installed.sidecar()).privileged_ports:
        return ok("only ports from 1024 on are to be captured")
    return judge_runtimes.judge_runtimes(await context.facts.listed(resources.NODES))


@_where_labelled
async def _declared(context: Context) -> Finding:
    facts = context.facts
    return judge_services.judge_declared(await facts.services(), await facts.labelled(), await facts.catalog())


async def _service_words(context: Context) -> Finding:
    facts = context.facts
    return judge_services.judge_problems(await facts.services(), await facts.labelled(), await facts.catalog())


async def _workload_words(context: Context) -> Finding:
    objects = judge_workloads.authored(await context.facts.workloads(), await context.facts.pods())
    return judge_workloads.judge_words(objects, await context.installed.injector(), await context.facts.catalog())


async def _proxies(context: Context) -> Finding:
    objects = judge_workloads.authored(await context.facts.workloads(), await context.facts.pods())
    return judge_workloads.judge_proxies(objects)


async def _bare(context: Context) -> Finding:
    facts = context.facts
    return judge_pods.judge_bare(await facts.pods(), await facts.catalog(), await context.installed.sidecar())


@_of_this_version
async def _up_to_date(context: Context) -> Finding:
    facts = context.facts
    return judge_pods.judge_up_to_date(
        await facts.injected(), await facts.catalog(), await context.installed.injector()
    )


@_of_this_version
async def _older(context: Context) -> Finding:
    facts = context.facts
    return judge_older.judge_older(await facts.injected(), await facts.catalog(), await context.installed.injector())


@_of_this_version
async def _bootstrap(context: Context) -> Finding:
    return judge_pods.judge_bootstrap(await context.facts.injected(), await context.installed.injector())


async def _envoy(context: Context) -> Finding:
    return judge_pods.judge_envoy(await context.facts.injected(), await context.installed.sidecar())


async def _dns(context: Context) -> Finding:
    return judge_dns.judge_dns(await context.facts.injected(), await context.installed.sidecar())


async def _dns_cache(context: Context) -> Finding:
    found = await context.facts.object(resources.CONFIG_MAPS, "coredns", _DNS_NAMESPACE)
    corefile = ((found or {}).get("data") or {}).get("Corefile")
    if not corefile:
        raise Unknown(f"there is no Corefile in ConfigMap {_DNS_NAMESPACE}/coredns: another DNS, or another name")
    return judge_dns.judge_cache(corefile, await context.installed.sidecar())


async def _dry_run(context: Context) -> Finding:
    """Create a Pod that is never created in the first labelled namespaces, or one that opts in by itself."""
    namespaces = await context.facts.namespaces()
    never = {*SidecarSettings().system_namespaces, context.place.namespace}
    labelled = [name for name in await context.facts.labelled() if name not in never]
    if not labelled and DEFAULT_NAMESPACE not in namespaces:
        return skipped("no namespace asks for sidecars", judge_namespaces.LABEL_ONE)
    if not labelled and namespaces[DEFAULT_NAMESPACE].labels.get(names.INJECT) == names.DISABLED:
        return skipped("no namespace asks for sidecars", judge_namespaces.LABEL_ONE)
    tries, refused = [], []
    for name in labelled[:_MOST_TRIED] or (DEFAULT_NAMESPACE,):
        if await context.facts.may_i(Permission("create", "", "pods", name)):
            tries.append(await _try(context, name, opts_in=not labelled))
        else:
            refused.append(name)
    if not tries:
        return skipped(f"you may not create Pods in {', '.join(refused)}", "run the check with an account that may")
    return judge_dry_run.judge_tries(tries, await _known(context))


async def _try(context: Context, namespace: str, *, opts_in: bool) -> Tried:
    labels = (await context.facts.namespaces())[namespace].labels
    asked = judge_dry_run.dry_run_pod(opts_in=opts_in)
    try:
        answer = await context.facts.api.create(resources.PODS.path(namespace), asked, dryRun="All")
    except (Forbidden, Invalid) as error:
        return Tried(namespace, labels, asked, refused=error.message)
    return Tried(namespace, labels, asked, answer.object, answer.warnings)


async def _known(context: Context) -> Known:
    """Gather what explains a bare Pod; what cannot be looked at is left out of the explanation."""
    served = await _or_none(chain(context))
    found = await _or_none(slices(context))
    endpoints = None if found is None else ready_endpoints(found)
    try:
        configuration, unread = await mutating(context), ""
    except (Unknown, ClusterError) as error:
        configuration, unread = None, str(error)
    return Known(context.place, configuration, served, endpoints, context.now(), unread)


async def _or_none(looked: Awaitable[_Fact]) -> _Fact | None:
    try:
        return await looked
    except (Unknown, ClusterError):
        return None


_NAMESPACES: Final = "namespaces and Services"
_PODS: Final = "workloads and Pods"
_UP: Final = (REACHABLE.name,)

WORKLOADS: Final = (
    Check(_NAMESPACES, "namespace-labels", "namespaces' labels are understood", _labels, _UP),
    Check(_NAMESPACES, "namespace-annotations", "namespaces' annotations are understood", _words, _UP),
    Check(_NAMESPACES, "labelled-namespaces", "some namespace asks for sidecars", _labelled, _UP),
    Check(_NAMESPACES, "system-namespaces", "no system namespace is labelled", _system, _UP),
    Check(_NAMESPACES, "upstreams", "each sees gRPC Services to balance over", _upstreams, _UP),
    Check(_NAMESPACES, "not-headless", "Services that look like gRPC can be balanced", _headless, _UP),
    Check(_NAMESPACES, "not-declared", "headless Services say that they are gRPC", _declared, _UP),
    Check(_NAMESPACES, "ambiguous-paths", "no gRPC service is claimed twice", _ambiguous, _UP),
    Check(_NAMESPACES, "captured-names", "names that are to be captured are", _captures, _UP),
    Check(_NAMESPACES, "privileged-ports", "sidecars may bind the ports that they are to", _runtimes, _UP),
    Check(_NAMESPACES, "endpoints", "what is pushed of endpoints is all of them", _endpoints, _UP),
    Check(_NAMESPACES, "service-annotations", "what Services say is understood", _service_words, _UP),
    Check(_PODS, "workload-annotations", "what workloads say is understood", _workload_words, _UP),
    Check(_PODS, "http-proxy", "no HTTP proxy takes calls to localhost", _proxies, _UP),
    Check(_PODS, "bare-pods", "every Pod that should have a sidecar has one", _bare, _UP),
    Check(_PODS, "configuration", "Pods' configurations are up to date", _up_to_date, _UP),
    Check(_PODS, "older-pods", "no Pod is older than what only new Pods get", _older, _UP),
    Check(_PODS, "bootstrap", "Pods started with the bootstrap of now", _bootstrap, _UP),
    Check(_PODS, "envoy-image", "Pods run the Envoy of now", _envoy, _UP),
    Check(_PODS, "dns-rate", "the sidecars' DNS queries are bearable", _dns, _UP),
    Check(_PODS, "dns-cache", "how soon sidecars see a new pod", _dns_cache, _UP),
    Check("the whole way", "dry-run", "a Pod created now (dry run) gets a sidecar", _dry_run, _UP),
)
