"""What `reconcile` consists of: the cluster followed, live Pods kept true, health and metrics."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import structlog

from webhook import __version__
from webhook.compose.runner import attempt, listeners
from webhook.compose.signals import Signals
from webhook.core.errors import SettingsError
from webhook.core.inject import Injector
from webhook.kube.api import Api
from webhook.kube.discovery import Discovery
from webhook.kube.metrics import DiscoveryMetrics
from webhook.observe import Metrics
from webhook.reconcile.metrics import ReconcilerMetrics
from webhook.reconcile.run import Reconciler, own_identity
from webhook.server.health import Readiness, health_app
from webhook.server.listen import Server, config
from webhook.settings import Settings
from webhook.templates import dump, load_templates


async def reconcile(settings: Settings) -> None:
    """Keep live Pods true until SIGTERM or SIGINT, then give the Lease back and return.

    Raises SettingsError, before anything is begun, with everything the operator has to mend; an ExceptionGroup if a
    part of it dies.
    """
    problems: list[str] = []
    api = attempt(problems, partial(Api.connect, settings.kubeconfig))
    injector = attempt(problems, lambda: Injector(settings.sidecar, load_templates(settings.templates), dump))
    if api is None or injector is None:
        raise SettingsError(problems)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(api)
        await _run(settings, api, injector)
    structlog.get_logger().info("ended")


async def _run(settings: Settings, api: Api, injector: Injector) -> None:
    metrics = Metrics()
    watching = DiscoveryMetrics(metrics.registry)
    reconciler = Reconciler(
        api,
        injector,
        settings.reconcile,
        ReconcilerMetrics(metrics.registry),
        namespace=settings.sidecar.own_namespace,
        identity=own_identity(),
        observer=watching.of("pods"),
    )
    discovery = Discovery(api, None, metrics.catalog, watching, configuration=settings.webhook_configuration)
    discovery.subscribe(reconciler.publish)
    readiness = Readiness({"catalog": discovery.missing, "pods": reconciler.missing})
    times = (settings.keep_alive_seconds, settings.shutdown_limit_seconds)
    health = Server("health", config(health_app(readiness, metrics), *times), *listeners(settings, "health_port"))
    signals = Signals()
    structlog.get_logger().info("starting", version=__version__)
    async with asyncio.TaskGroup() as group:
        working = [
            group.create_task(discovery.run(), name="follow the cluster"),
            group.create_task(reconciler.run(), name="keep pods true"),
        ]
        serving = group.create_task(health.run_until_told(), name="serve health")
        structlog.get_logger().info("ending", signal=await signals.next())
        readiness.drain()
        for task in working:
            task.cancel()
        # The Lease is given back before anything else goes.
        await asyncio.wait(working)
        health.should_exit = True
        await serving
