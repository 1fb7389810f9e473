"""The one place where the server's objects meet: what `serve` consists of, and in which order it begins and ends."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from webhook import __version__
from webhook.catalog_files import CatalogFiles, CatalogHolder
from webhook.compose.certificate import certificate_source, look_seconds, registration
from webhook.compose.cluster import KubernetesVersion
from webhook.compose.runner import Helpers, attempt, listeners
from webhook.compose.signals import Signals, drain, hasten
from webhook.core.catalog import Catalog
from webhook.core.errors import SettingsError
from webhook.core.inject import Injector
from webhook.core.lint import lint
from webhook.kube.api import Api
from webhook.kube.discovery import Changed, Discovery
from webhook.kube.metrics import DiscoveryMetrics
from webhook.observe import Metrics
from webhook.server.app import admission_app
from webhook.server.body import BodyLimits
from webhook.server.health import Check, Readiness, health_app
from webhook.server.listen import Server, config
from webhook.server.mutate import Mutate
from webhook.server.validate import Validate
from webhook.settings import Settings
from webhook.templates import dump, load_templates
from webhook.tls.metrics import PublishedMetrics
from webhook.tls.published import Published
from webhook.tls.serving import CertificateSource


@dataclass(frozen=True, slots=True)
class _Read:
    """What the settings name, read and checked; nothing of it has begun."""

    certificate: CertificateSource
    injector: Injector
    catalog: CatalogFiles | None
    api: Api | None


@dataclass(frozen=True, slots=True)
class _Parts:
    """What serves."""

    readiness: Readiness
    admission: Server
    health: Server
    helpers: Helpers


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal hastens, a third ends at once.

    Raises, before any port is bound, SettingsError with everything that the operator has to mend, or ClusterError
    where the API server refuses what the certificate needs. An ExceptionGroup if a part of it dies.
    """
    async with AsyncExitStack() as stack:
        parts = await _assemble(settings, stack)
        signals = Signals()
        structlog.get_logger().info("starting", version=__version__)
        gc.collect()
        gc.freeze()  # what was loaded until now stays: full collections need not look at it during an admission
        await _live(parts, signals, settings.shutdown_delay_seconds)
    structlog.get_logger().info("ended")


async def _live(parts: _Parts, signals: Signals, delay: float) -> None:
    async with asyncio.TaskGroup() as group:
        helpers = [group.create_task(run(), name=name) for name, run in parts.helpers.items()]
        health = group.create_task(parts.health.run_until_told(), name="serve health")
        admission = group.create_task(parts.admission.run_until_told(), name="serve admissions")
        await drain(parts.readiness, signals, delay)
        parts.admission.should_exit = True
        helpers.append(group.create_task(hasten(parts.admission, signals), name="wait for one more signal"))
        await admission
        parts.health.should_exit = True
        await health
        for helper in helpers:
            helper.cancel()


async def _assemble(settings: Settings, stack: AsyncExitStack) -> _Parts:
    metrics, holder = Metrics(), CatalogHolder()
    read = _read(settings, metrics, holder)
    if read.api is not None:
        await stack.enter_async_context(read.api)
    await read.certificate.start()
    checks: dict[str, Check] = {"certificate": read.certificate.missing}
    helpers: Helpers = {"keep the certificate": partial(read.certificate.run, look_seconds(settings))}
    if read.catalog is not None:
        checks["catalog"] = holder.missing
        helpers["watch the catalog"] = partial(read.catalog.run, settings.poll_seconds)
    if read.api is not None:
        await _follow(settings, read, metrics, holder, checks, helpers)
    return _serving(settings, read, metrics, holder, Readiness(checks), helpers)


def _read(settings: Settings, metrics: Metrics, holder: CatalogHolder) -> _Read:
    """Read everything that the settings name; raises SettingsError with every problem at once."""
    problems: list[str] = []
    offline = settings.catalog and settings.certificate == "files"
    api = None if offline else attempt(problems, partial(Api.connect, settings.kubeconfig))
    certificate = attempt(problems, partial(certificate_source, settings, api, metrics))
    files = partial(CatalogFiles, settings.catalog, holder, metrics.catalog)
    catalog = attempt(problems, files) if settings.catalog else None
    injector = attempt(problems, lambda: Injector(settings.sidecar, load_templates(settings.templates), dump))
    if problems or certificate is None or injector is None:
        raise SettingsError(problems)
    return _Read(certificate, injector, catalog, api)


async def _follow(
    settings: Settings,
    read: _Read,
    metrics: Metrics,
    holder: CatalogHolder,
    checks: dict[str, Check],
    helpers: Helpers,
) -> None:
    """Add what is followed in the cluster: its version, the published caBundle and, without files, its Services."""
    api = read.api
    if api is None:
        return
    version = KubernetesVersion(api, settings.kubernetes_version)
    certificate = read.certificate
    published = Published(
        api, registration(settings), lambda: certificate.live.bundle, PublishedMetrics(metrics.registry)
    )
    checks |= {"kubernetes": version.missing, "published": published.missing}
    helpers |= {"ask for the version": version.run, "watch the published caBundle": published.run}
    if read.catalog is None:
        discovery = Discovery(
            api,
            holder.publish,
            metrics.catalog,
            DiscoveryMetrics(metrics.registry),
            configuration=settings.webhook_configuration,
        )
        discovery.subscribe(_settle)
        checks["catalog"] = discovery.missing
        helpers["follow the cluster"] = discovery.run
    await published.start()


def _settle(_: Catalog, changed: Changed) -> None:
    """Have the first Services stay: full collections then need not look at them during an admission."""
    if changed.everything:
        gc.collect()
        gc.freeze()


def _serving(
    settings: Settings, read: _Read, metrics: Metrics, holder: CatalogHolder, readiness: Readiness, helpers: Helpers
) -> _Parts:
    shared: dict[str, Any] = {
        "catalog": lambda: holder.current,
        "limits": BodyLimits(settings.max_body_bytes, settings.body_seconds),
        "metrics": metrics,
        "draining": readiness.draining,
    }
    mutate = Mutate(admitter=read.injector, **shared)
    validate = Validate(lint=lambda document, catalog: lint(document, catalog, read.injector, None), **shared)
    times = (settings.keep_alive_seconds, settings.shutdown_limit_seconds)
    sockets = listeners(settings, "port", "health_port")
    admission = config(admission_app(mutate, validate), *times, tls=read.certificate.live.listener)
    health = config(health_app(readiness, metrics), *times)
    return _Parts(readiness, Server("admission", admission, sockets[0]), Server("health", health, sockets[1]), helpers)
