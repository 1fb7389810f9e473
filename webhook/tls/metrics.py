"""What is counted about certificates."""

from __future__ import annotations

import math
import ssl
import time
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge

from webhook.tls.plan import Code


class HandshakeFailure(StrEnum):
    """Why a caller got no connection."""

    REFUSED_BY_CALLER = "refused-by-caller"
    """It says so: it does not trust our certificate, most of all."""
    CALLER_NOT_TRUSTED = "caller-not-trusted"
    """It brought no client certificate, or not one of `client_ca`."""
    NO_TLS = "no-tls"
    OTHER = "other"
    """Such as a version or cipher that we do not speak."""


def handshake_failure(error: ssl.SSLError) -> HandshakeFailure:
    """Give the reason for a metric from what OpenSSL says."""
    reason = str(error.reason or "").upper()
    if "ALERT" in reason:
        return HandshakeFailure.REFUSED_BY_CALLER
    if reason in ("CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        return HandshakeFailure.CALLER_NOT_TRUSTED
    if reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER", "HTTPS_PROXY_REQUEST"):
        return HandshakeFailure.NO_TLS
    return HandshakeFailure.OTHER


class CertificateMetrics:
    """What is known of the serving certificate in use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._expiry = Gauge(
            "evenkeel_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires, NaN: not loaded yet.",
            registry=registry,
        )
        self._remaining = Gauge(
            "evenkeel_certificate_lifetime_remaining_ratio",
            "1 when issued, 0 when expired, NaN: not loaded yet.",
            registry=registry,
        )
        for unknown in (self._expiry, self._remaining):
            # Nothing is loaded yet; a 0 would say that it has expired.
            unknown.set(math.nan)
        self._reloads = Counter(
            "evenkeel_certificate_reloads", "New contents of the certificate's files.", ["result"], registry=registry
        )
        for result in ("loaded", "refused"):
            self._reloads.labels(result)

    def loaded(self, not_before: float, not_after: float) -> None:
        """Describe a certificate that has come into use; the times are seconds since 1970."""
        self._reloads.labels("loaded").inc()
        self._expiry.set(not_after)
        life = max(not_after - not_before, 1.0)
        self._remaining.set_function(lambda: min(1.0, max(0.0, (not_after - time.time()) / life)))

    def refused(self) -> None:
        """Count a pair that was refused."""
        self._reloads.labels("refused").inc()


class HandshakeMetrics:
    """TLS handshakes that failed. A caller that just closes the connection, as a port scan does, is none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._failures = Counter(
            "evenkeel_tls_handshake_failures", "Callers that got no TLS connection.", ["reason"], registry=registry
        )
        for reason in HandshakeFailure:
            self._failures.labels(reason.value)

    def failed(self, error: ssl.SSLError) -> None:
        """Count one."""
        self._failures.labels(handshake_failure(error).value).inc()


class PublishedMetrics:
    """Whether what is published verifies what is served."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._published = Gauge(
            "evenkeel_certificate_published",
            "1 where every published caBundle verifies the serving certificate, 0 where one does not, NaN: not known.",
            registry=registry,
        )
        self._published.set(float("nan"))

    def judged(self, *, verifies: bool) -> None:
        """Note a verdict."""
        self._published.set(1 if verifies else 0)


class ManagedMetrics:
    """What self-managed certificates did."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._changes = Counter(
            "evenkeel_managed_certificate_changes", "Changes written to our Secret.", ["reason"], registry=registry
        )
        self._conflicts = Counter(
            "evenkeel_managed_certificate_conflicts", "Writes in which somebody else was faster.", registry=registry
        )
        self._writes = Counter(
            "evenkeel_ca_bundle_writes", "Webhook configurations given our caBundle.", ["kind"], registry=registry
        )
        self._failures = Counter(
            "evenkeel_managed_certificate_failures",
            "Looks at Secret and configurations that failed.",
            registry=registry,
        )
        self._remaining = Gauge(
            "evenkeel_certificate_authority_lifetime_remaining_ratio",
            "Of the CA that signs: 1 when made, 0 when expired.",
            registry=registry,
        )
        for code in Code:
            self._changes.labels(code.value)

    def changed(self, code: Code) -> None:
        """Count a change of ours."""
        self._changes.labels(code.value).inc()

    def conflict(self) -> None:
        """Count a write that came too late."""
        self._conflicts.inc()

    def written(self, kind: str) -> None:
        """Count a caBundle written."""
        self._writes.labels(kind).inc()

    def failed(self) -> None:
        """Count a look that failed."""
        self._failures.inc()

    def authority(self, not_before: float, not_after: float) -> None:
        """Describe the CA in use; the times are seconds since 1970."""
        life = max(not_after - not_before, 1.0)
        self._remaining.set_function(lambda: min(1.0, max(0.0, (not_after - time.time()) / life)))
