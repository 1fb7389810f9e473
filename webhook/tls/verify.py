"""Whether a CA bundle verifies a serving certificate: asked of OpenSSL by a handshake in memory."""

from __future__ import annotations

import ssl
from dataclasses import replace

from webhook.core.errors import SettingsError
from webhook.tls.bundle import Bundle
from webhook.tls.context import make_context

_FLIGHTS = 4


def refusal(bundle: Bundle, ca_bundle: bytes, host: str) -> str | None:
    """Say why a caller that trusts only this bundle refuses the certificate for the host, or None.

    As API servers do it: chain, time (this machine's) and name; a CA that did not sign itself, or the certificate
    itself, may be trusted; a name counts only as a subject alternative name.
    """
    try:
        caller = _caller(ca_bundle)
        # Without CAs of callers: whether they are let in is another question.
        server = make_context(replace(bundle, content=replace(bundle.content, client_ca=None)))
        _shake(caller, server, host)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (ssl.SSLError, SettingsError, ValueError) as error:
        return str(error)
    return None


def _caller(ca_bundle: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=ca_bundle.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("it holds no certificate that can be read") from error
    return context


def _shake(caller: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    to_server, to_caller = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        caller.wrap_bio(to_caller, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_caller, server_side=True),
    )
    for _ in range(_FLIGHTS):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
