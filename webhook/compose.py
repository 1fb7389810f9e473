"""The one place where objects meet: what `serve` consists of, and in which order it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
import uvloop

from webhook import __version__
from webhook.catalog_files import CatalogFiles, CatalogHolder
from webhook.core.errors import SettingsError
from webhook.core.inject import Injector
from webhook.observe import Metrics, configure_logging
from webhook.server.app import admission_app
from webhook.server.body import BodyLimits
from webhook.server.health import Readiness, health_app
from webhook.server.listen import Server, bind, config
from webhook.server.mutate import Mutate
from webhook.settings import Settings
from webhook.templates import dump, load_templates
from webhook.tls.files import CertificateFiles
from webhook.tls.watch import CertificateWatch

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What serves, all of it read and checked."""

    certificate: CertificateWatch
    catalog: CatalogFiles
    readiness: Readiness
    admission: Server
    health: Server


def run_serve(settings: Settings) -> int:
    """Serve until a signal ends it, and give the exit code: 0, or 1 if a part of it died.

    Raises SettingsError, before any port is bound, with everything the operator has to mend.
    """
    configure_logging(settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve(settings))
        except ExceptionGroup:
            structlog.get_logger().exception("a part of the server died")
            return 1
    return 0


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal hastens, a third ends at once.

    Raises SettingsError before any port is bound; an ExceptionGroup if a part of it dies.
    """
    parts = _assemble(settings)
    signals = _Signals()
    structlog.get_logger().info("starting", version=__version__)
    gc.collect()
    gc.freeze()  # what was loaded until now stays: full collections need not look at it during an admission
    async with asyncio.TaskGroup() as group:
        helpers = [
            group.create_task(parts.certificate.run(settings.poll_seconds), name="watch the certificate"),
            group.create_task(parts.catalog.run(settings.poll_seconds), name="watch the catalog"),
        ]
        health = group.create_task(parts.health.run_until_told(), name="serve health")
        admission = group.create_task(parts.admission.run_until_told(), name="serve admissions")
        await _drain(parts, signals, settings.shutdown_delay_seconds)
        helpers.append(group.create_task(_hasten(parts, signals), name="wait for one more signal"))
        await admission
        parts.health.should_exit = True
        await health
        for helper in helpers:
            helper.cancel()
    structlog.get_logger().info("ended")


async def _drain(parts: _Parts, signals: _Signals, delay: float) -> None:
    """Wait for a signal, then let callers go elsewhere before the listener closes."""
    log = structlog.get_logger()
    name = await signals.next()
    log.info("draining", signal=name, seconds=delay)
    parts.readiness.drain()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay):
            log.info("hastened", signal=await signals.next())
    parts.admission.should_exit = True


async def _hasten(parts: _Parts, signals: _Signals) -> None:
    """End at once, whatever is in flight, when somebody insists."""
    await signals.next()
    parts.admission.force_exit = True


class _Signals:
    """The signals that ask the process to end, one after the other."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._queue.put_nowait, number.name)

    async def next(self) -> str:
        """Wait for a signal and give its name."""
        return await self._queue.get()


def _assemble(settings: Settings) -> _Parts:
    """Read and check everything, tell every problem at once, then bind the ports."""
    problems: list[str] = []
    metrics, holder = Metrics(), CatalogHolder()
    certificate = _try(problems, lambda: _certificate(settings, metrics))
    catalog = _try(problems, lambda: _catalog(settings, holder, metrics))
    injector = _try(problems, lambda: Injector(settings.sidecar, load_templates(settings.templates), dump))
    if certificate is None or catalog is None or injector is None:
        raise SettingsError(problems)
    readiness = Readiness({"certificate": certificate.missing, "catalog": holder.missing})
    mutate = Mutate(
        admitter=injector,
        catalog=lambda: holder.current,
        limits=BodyLimits(settings.max_body_bytes, settings.body_seconds),
        metrics=metrics,
        draining=readiness.draining,
    )
    listeners = _bind(settings)
    times = (settings.keep_alive_seconds, settings.shutdown_limit_seconds)
    admission = config(admission_app(mutate), *times, tls=certificate.live.listener)
    health = config(health_app(readiness, metrics), *times)
    servers = (Server("admission", admission, listeners[0]), Server("health", health, listeners[1]))
    return _Parts(certificate, catalog, readiness, *servers)


def _certificate(settings: Settings, metrics: Metrics) -> CertificateWatch:
    if settings.tls_cert is None or settings.tls_key is None:
        missing = [key for key in ("tls_cert", "tls_key") if getattr(settings, key) is None]
        raise SettingsError(
            [f"{key}: found nothing, expected --{key.replace('_', '-')} FILE with PEM" for key in missing]
        )
    files = CertificateFiles(settings.tls_cert, settings.tls_key, settings.client_ca)
    return CertificateWatch(files, metrics.certificate)


def _catalog(settings: Settings, holder: CatalogHolder, metrics: Metrics) -> CatalogFiles:
    if not settings.catalog:
        version = "this version reads them from files, the next one from the cluster"
        raise SettingsError([f"catalog: found nothing, expected --catalog PATH with the Services: {version}"])
    return CatalogFiles(settings.catalog, holder, metrics.catalog)


def _bind(settings: Settings) -> tuple[socket.socket, socket.socket]:
    admission = bind("port", settings.host, settings.port)
    try:
        return admission, bind("health_port", settings.host, settings.health_port)
    except SettingsError:
        admission.close()
        raise


def _try(problems: list[str], make: Callable[[], _Part]) -> _Part | None:
    """Make a part; what is wrong with it joins the problems of the others."""
    try:
        return make()
    except SettingsError as error:
        problems += error.problems
        return None
