"""Where the serving certificate comes from, as the settings say."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Final

from webhook.core.errors import SettingsError
from webhook.kube.api import Api
from webhook.observe import Metrics
from webhook.settings import Settings
from webhook.tls.authority import serving_names
from webhook.tls.configurations import Registration
from webhook.tls.files import CertificateFiles
from webhook.tls.managed import LOOK_SECONDS, Managed, ManagedCertificate
from webhook.tls.metrics import CertificateMetrics, HandshakeMetrics, ManagedMetrics
from webhook.tls.plan import Terms
from webhook.tls.serving import CertificateSource
from webhook.tls.watch import CertificateWatch

_FILES: Final = ("tls_cert", "tls_key")


def certificate_source(settings: Settings, api: Api | None, metrics: Metrics) -> CertificateSource:
    """Make the source; raises SettingsError with what is missing or too much."""
    handshakes = HandshakeMetrics(metrics.registry)
    if settings.certificate == "self-managed":
        return _managed(settings, api, metrics, handshakes)
    files = CertificateFiles(*given_files(settings, " or certificate=self-managed"), settings.client_ca)
    return CertificateWatch(files, CertificateMetrics(metrics.registry), handshakes=handshakes)


def given_files(settings: Settings, instead: str = "") -> tuple[Path, Path]:
    """Give the files of certificate and key; raises SettingsError with each that is missing, and what would do."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        return settings.tls_cert, settings.tls_key
    missing = [key for key in _FILES if getattr(settings, key) is None]
    flags = [f"--{key.replace('_', '-')} FILE with PEM" for key in missing]
    raise SettingsError(
        [f"{key}: found nothing, expected {flag}{instead}" for key, flag in zip(missing, flags, strict=True)]
    )


def look_seconds(settings: Settings) -> float:
    """Give how often the source is looked at: files often, the API server seldom."""
    return LOOK_SECONDS if settings.certificate == "self-managed" else settings.poll_seconds


def registration(settings: Settings) -> Registration:
    """Give the names under which API servers call us."""
    return Registration(settings.webhook_configuration, settings.service, settings.sidecar.own_namespace)


def terms(settings: Settings) -> Terms:
    """Give what a certificate of our own is for: the Service that API servers call, and the one that sidecars call."""
    sidecar = settings.sidecar
    services = (settings.service, sidecar.xds_service)
    names = (serving_names(service, sidecar.own_namespace, sidecar.cluster_domain) for service in services)
    return Terms(
        tuple(chain.from_iterable(names)),
        leaf=timedelta(hours=settings.certificate_lifetime_hours),
        authority=timedelta(days=settings.ca_lifetime_days),
    )


def _managed(settings: Settings, api: Api | None, metrics: Metrics, handshakes: HandshakeMetrics) -> CertificateSource:
    given = [key for key in _FILES if getattr(settings, key) is not None]
    if given:
        raise SettingsError([f"{key}: found a file, expected none where certificate is self-managed" for key in given])
    if api is None:
        raise SettingsError(["certificate: found self-managed, which needs a cluster to keep its Secret in"])
    managed = Managed(settings.certificate_secret, registration(settings), terms(settings), settings.client_ca)
    return ManagedCertificate(
        api, managed, CertificateMetrics(metrics.registry), ManagedMetrics(metrics.registry), handshakes=handshakes
    )
