"""What `xds` consists of: the cluster followed, clients let in, endpoints pushed to them, health and metrics."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from webhook import __version__
from webhook.compose.certificate import given_files
from webhook.compose.runner import attempt, listeners
from webhook.compose.signals import Signals, drain
from webhook.compose.xds_feed import Feed
from webhook.core.errors import SettingsError
from webhook.kube.api import Api
from webhook.kube.metrics import DiscoveryMetrics
from webhook.observe import Metrics
from webhook.server.health import Readiness, health_app
from webhook.server.listen import Server, bind, config
from webhook.settings import Settings
from webhook.tls.files import CertificateFiles
from webhook.tls.metrics import CertificateMetrics
from webhook.tls.watch import CertificateWatch
from webhook.xds.authenticate import Authenticator, Terms
from webhook.xds.credentials import LiveCredentials, Pem
from webhook.xds.metrics import XdsMetrics
from webhook.xds.refusals import Refusals
from webhook.xds.reviews import ReviewMetrics, Reviews
from webhook.xds.server import AdsServer
from webhook.xds.zones import Zones

_PORT: Final = "sidecar.xds_port"
"""The port that sidecars call is the one that is listened on: the Service is headless."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the process consists of, made and not begun."""

    certificate: CertificateWatch
    authenticator: Authenticator
    feed: Feed
    server: AdsServer
    readiness: Readiness
    health: Server


async def xds(settings: Settings) -> None:
    """Push endpoints until SIGTERM or SIGINT, then let clients go to other replicas, and return.

    Raises SettingsError, before anything is begun, with everything the operator has to mend; an ExceptionGroup if a
    part of it dies.
    """
    metrics = Metrics()
    problems: list[str] = []
    api = attempt(problems, partial(Api.connect, settings.kubeconfig))
    certificate = attempt(problems, partial(_certificate, settings, metrics))
    attempt(problems, partial(_check_port, settings))
    if problems or api is None or certificate is None:
        raise SettingsError(problems)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(api)
        parts = _parts(settings, api, certificate, metrics)
        signals = Signals()
        structlog.get_logger().info("starting", version=__version__)
        await _live(settings, parts, signals)
    structlog.get_logger().info("ended")


def _check_port(settings: Settings) -> None:
    """Look whether the port can be had, which is bound only later; raises SettingsError."""
    port = settings.sidecar.xds_port
    if port == settings.health_port != 0:
        raise SettingsError([f"{_PORT}: found {port}, which is health_port; expected another one"])
    bind(_PORT, settings.host, port).close()


def _certificate(settings: Settings, metrics: Metrics) -> CertificateWatch:
    return CertificateWatch(CertificateFiles(*given_files(settings)), CertificateMetrics(metrics.registry))


def _parts(settings: Settings, api: Api, certificate: CertificateWatch, metrics: Metrics) -> _Parts:
    registry, wanted = metrics.registry, settings.xds
    refusals, reviewing = Refusals(registry), ReviewMetrics(registry)
    terms = Terms(wanted.unauthenticated_namespaces, wanted.review_seconds, wanted.reviews_at_once)
    authenticator = Authenticator(Reviews(api, reviewing), Zones(api), refusals, reviewing, terms)
    feed = Feed(api, metrics.catalog, DiscoveryMetrics(registry), registry, settings)
    anonymous = authenticator.anonymous if terms.unauthenticated else None
    server = AdsServer(feed.sources, authenticator, XdsMetrics(registry), anonymous=anonymous)
    feed.tell(server.changed)
    checks = {
        "cluster": feed.missing,
        "clients": authenticator.missing,
        "certificate": lambda: certificate.missing() or _misnamed(settings, certificate.live.bundle.names),
    }
    readiness = Readiness(checks)
    times = (settings.keep_alive_seconds, settings.shutdown_limit_seconds)
    health = Server("health", config(health_app(readiness, metrics), *times), *listeners(settings, "health_port"))
    return _Parts(certificate, authenticator, feed, server, readiness, health)


def _misnamed(settings: Settings, names: Sequence[str]) -> str | None:
    """Say why no sidecar would believe a certificate for these names, or None."""
    host = f"{settings.sidecar.xds_service}.{settings.sidecar.own_namespace}.svc"
    if {host, f"*.{host.partition('.')[2]}"} & set(names):
        return None
    return f"the certificate is not for {host}, which sidecars ask for, but for {', '.join(names) or 'nobody'}"


async def _live(settings: Settings, parts: _Parts, signals: Signals) -> None:
    async with asyncio.TaskGroup() as group:
        helpers = [
            group.create_task(parts.feed.run(), name="follow the cluster"),
            group.create_task(parts.authenticator.run(), name="let clients in"),
            group.create_task(parts.certificate.run(settings.poll_seconds), name="keep the certificate"),
            group.create_task(_serve(settings, parts), name="serve endpoints"),
        ]
        health = group.create_task(parts.health.run_until_told(), name="serve health")
        await drain(parts.readiness, signals, settings.shutdown_delay_seconds)
        await _end(parts.server, signals, settings.shutdown_limit_seconds)
        for helper in helpers:
            helper.cancel()
        parts.health.should_exit = True
        await health


async def _serve(settings: Settings, parts: _Parts) -> None:
    """Begin to serve once everything is known: a client that came before would be told that nothing is there."""
    await parts.feed.wait_complete()
    gc.collect()
    gc.freeze()  # what was listed stays: full collections need not look at it while clients wait
    live = parts.certificate.live
    credentials = LiveCredentials(lambda: Pem(live.bundle.content.certificate, live.bundle.content.key))
    host = settings.host or "::"
    where = f"[{host}]" if ":" in host else host
    port = await parts.server.listen(f"{where}:{settings.sidecar.xds_port}", credentials.make())
    structlog.get_logger().info("listening", server="xds", address=host, port=port)
    await parts.server.wait()


async def _end(server: AdsServer, signals: Signals, seconds: float) -> None:
    """End the streams one after the other, so that clients spread over the other replicas; one more signal hastens."""
    ending = asyncio.create_task(server.stop(seconds))
    hastened = asyncio.create_task(signals.next())
    await asyncio.wait({ending, hastened}, return_when=asyncio.FIRST_COMPLETED)
    ending_by_itself = ending.done()
    for task in (ending, hastened):
        task.cancel()
    await asyncio.gather(ending, hastened, return_exceptions=True)
    if not ending_by_itself:
        await server.stop(0)
