"""The serving certificate is replaced under the listener; what is not good is refused."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.tls.pairs import Folder, Handshake, issue, serial, trusting
from webhook.core.errors import SettingsError
from webhook.tls.bundle import Content, parse_bundle
from webhook.tls.context import LiveContext
from webhook.tls.metrics import CertificateMetrics
from webhook.tls.watch import CertificateWatch

CA = trustme.CA()
OLD, NEW = issue(CA), issue(CA)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Give files with a good pair."""
    files = Folder(tmp_path)
    files.put(OLD)
    CA.cert_pem.write_to_path(str(files.ca))
    return files


def _watch(folder: Folder, *, client_ca: bool = False, **named: Any) -> CertificateWatch:
    return CertificateWatch(folder.files(client_ca=client_ca), CertificateMetrics(CollectorRegistry()), **named)


def _serial(watch: CertificateWatch) -> int:
    return Handshake(watch.live.listener, trusting(CA)).serial()


def test_new_handshakes_get_the_new_pair(folder: Folder) -> None:
    """A change of the files is enough."""
    watch = _watch(folder)
    folder.put(NEW)

    before = _serial(watch)
    watch.look()

    assert (serial(OLD), serial(NEW)) == (before, _serial(watch))


def test_a_caller_that_names_no_server_gets_the_new_pair_too(folder: Folder) -> None:
    """API servers that were given an address send no name."""
    watch = _watch(folder)
    folder.put(NEW)
    watch.look()
    client = trusting(CA)
    client.check_hostname = False

    assert serial(NEW) == Handshake(watch.live.listener, client, name=None).serial()


def test_open_connections_live_on(folder: Folder) -> None:
    """Bytes still go through a connection that was made before."""
    watch = _watch(folder)
    connection = Handshake(watch.live.listener, trusting(CA))
    folder.put(NEW)
    watch.look()

    assert b"still here" == connection.talk(b"still here")


def test_a_mounted_secret_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """A kubelet exchanges one symlink for the whole folder, which leaves the paths and their times as they are."""
    for name, pair in (("one", OLD), ("two", NEW)):
        (tmp_path / name).mkdir()
        Folder(tmp_path / name).put(pair)
    (tmp_path / "..data").symlink_to("one")
    folder = Folder(tmp_path)
    folder.certificate.symlink_to("..data/tls.crt")
    folder.key.symlink_to("..data/tls.key")
    watch = _watch(folder)

    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").rename(tmp_path / "..data")
    watch.look()

    assert serial(NEW) == _serial(watch)


def _mismatched(folder: Folder) -> None:
    folder.certificate.write_bytes(NEW.cert_chain_pems[0].bytes())


def _no_pem(folder: Folder) -> None:
    folder.certificate.write_text("no certificate")


def _empty(folder: Folder) -> None:
    folder.key.write_bytes(b"")


def _gone(folder: Folder) -> None:
    folder.key.unlink()


def _expired(folder: Folder) -> None:
    folder.put(issue(CA, days=-0.1))


def _not_yet(folder: Folder) -> None:
    folder.put(issue(CA, begins=1))


def _encrypted(folder: Folder) -> None:
    key = load_pem_private_key(NEW.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    folder.key.write_bytes(pem)


@pytest.mark.parametrize("spoil", [_mismatched, _no_pem, _empty, _gone, _expired, _not_yet, _encrypted])
def test_a_pair_that_is_no_good_is_refused_once_and_the_old_one_kept(folder: Folder, spoil: object) -> None:
    """One log line for one content, one step of the metric, however often it is looked at."""
    registry = CollectorRegistry()
    watch = CertificateWatch(folder.files(), CertificateMetrics(registry))
    assert callable(spoil)
    spoil(folder)

    with capture_logs() as lines:
        for _ in range(3):
            watch.look()

    refused = registry.get_sample_value("evenkeel_certificate_reloads_total", {"result": "refused"})
    assert (1, 1.0) == (len(lines), refused)
    assert serial(OLD) == _serial(watch)
    assert watch.missing() is None


def test_a_pair_that_was_half_written_is_taken_when_whole(folder: Folder) -> None:
    """A reading in the middle of a change costs nothing but a line."""
    watch = _watch(folder)
    _mismatched(folder)
    watch.look()
    folder.put(NEW)
    watch.look()

    assert serial(NEW) == _serial(watch)


def test_a_pair_that_is_not_valid_yet_is_taken_when_it_is(folder: Folder) -> None:
    """Clocks differ a little; nobody has to write the files again."""
    day = timedelta()
    watch = _watch(folder, now=lambda: datetime.now(UTC) + day)
    new = issue(CA, begins=1, days=200)
    folder.put(new)
    watch.look()
    day = timedelta(days=2)
    watch.look()

    assert new.cert_chain_pems[0].bytes() == watch.live.bundle.content.certificate


def test_readiness_asks_whether_the_pair_is_valid_now(folder: Folder) -> None:
    """A pair that expires under us takes the replica out, and does not end it."""
    later = _watch(folder, now=lambda: datetime.now(UTC) + timedelta(days=99))

    assert "the certificate expired on" in str(later.missing())


def test_an_expired_pair_at_the_start_is_waited_out(folder: Folder) -> None:
    """Its successor is taken when it comes; a restart would only delay that."""
    folder.put(issue(CA, days=-0.1))
    watch = _watch(folder)
    before = watch.missing()
    folder.put(NEW)
    watch.look()

    assert ("the certificate expired", None) == (str(before)[:23], watch.missing())


def test_a_broken_start_names_every_problem(folder: Folder) -> None:
    """The operator mends all of it at once."""
    _no_pem(folder)
    _empty(folder)
    folder.ca.write_text("")

    with pytest.raises(SettingsError) as caught:
        _watch(folder, client_ca=True)

    assert ["tls_cert", "tls_key", "client_ca"] == [problem.partition(":")[0] for problem in caught.value.problems]


def test_files_that_are_not_there_at_the_start_are_named(tmp_path: Path) -> None:
    """A mistyped path is known before a port is bound."""
    with pytest.raises(SettingsError) as caught:
        _watch(Folder(tmp_path))

    assert [True, True] == ["cannot be read" in problem for problem in caught.value.problems]


def test_old_versions_of_tls_are_refused(folder: Folder) -> None:
    """TLS 1.2 is the oldest."""
    assert ssl.TLSVersion.TLSv1_2 == _watch(folder).live.listener.minimum_version


def test_a_context_keeps_what_it_had_when_openssl_refuses(folder: Folder) -> None:
    """A pair is tried on a context of its own before anybody gets it."""
    live = _watch(folder).live
    bad = Content(OLD.cert_chain_pems[0].bytes(), NEW.private_key_pem.bytes())
    good = live.bundle

    with pytest.raises(SettingsError):
        live.replace(type(good)(bad, good.not_before, good.not_after, good.names))

    assert (good, serial(OLD)) == (live.bundle, Handshake(live.listener, trusting(CA)).serial())


def test_a_digest_tells_contents_apart() -> None:
    """Moving a byte from one file to the other is another content."""
    assert Content(b"ab", b"c").digest != Content(b"a", b"bc").digest


def _client(pair: trustme.LeafCert | None) -> ssl.SSLContext:
    context = trusting(CA)
    if pair:
        pair.configure_cert(context)
    return context


def test_with_a_client_ca_only_its_certificates_get_an_answer(folder: Folder) -> None:
    """No certificate, or one of somebody else, ends in the handshake."""
    listener = _watch(folder, client_ca=True).live.listener

    assert b"hi" == Handshake(listener, _client(CA.issue_cert("apiserver"))).talk(b"hi")
    for pair in (None, trustme.CA().issue_cert("apiserver")):
        with pytest.raises(ssl.SSLError):
            Handshake(listener, _client(pair)).talk(b"hi")


def test_a_client_ca_that_was_replaced_is_trusted_no_more(folder: Folder) -> None:
    """CAs are exchanged, not added to."""
    watch = _watch(folder, client_ca=True)
    other = trustme.CA()
    other.cert_pem.write_to_path(str(folder.ca))
    watch.look()

    assert b"hi" == Handshake(watch.live.listener, _client(other.issue_cert("apiserver"))).talk(b"hi")
    with pytest.raises(ssl.SSLError):
        Handshake(watch.live.listener, _client(CA.issue_cert("apiserver"))).talk(b"hi")


def test_the_live_context_is_one_object(folder: Folder) -> None:
    """The listener was given it once and never hears of another."""
    live = LiveContext(parse_bundle(folder.files().read()))
    before = live.listener
    folder.put(NEW)
    live.replace(parse_bundle(folder.files().read()))

    assert before is live.listener
