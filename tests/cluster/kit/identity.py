"""Who is who in the test control plane: authorities, certificates, the key of service accounts, kubeconfigs."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE: Final = timedelta(days=1)
_SKEW: Final = timedelta(minutes=5)
_PURPOSES: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    cert: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.crt and NAME.key, and give both paths."""
        cert, key = folder / f"{name}.crt", folder / f"{name}.key"
        cert.write_bytes(self.cert)
        _write_secret(key, self.key)
        return cert, key

    def load_into(self, context: ssl.SSLContext) -> None:
        """Prove oneself with it in connections of a context."""
        # Python's ssl reads certificates of its own from files only.
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.cert + b"\n" + self.key)
            file.flush()
            context.load_cert_chain(file.name)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that lives for a day."""

    pair: Pair
    _name: x509.Name
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, common_name: str) -> Self:
        """Make a CA with a key of its own."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name(common_name, ())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        cert = _builder(name, name, key).add_extension(constraints, critical=True).sign(key, hashes.SHA256())
        return cls(Pair(cert.public_bytes(serialization.Encoding.PEM), _pem(key)), name, key)

    def issue(self, common_name: str, *, groups: Sequence[str] = (), sans: Sequence[str] = ()) -> Pair:
        """Sign a certificate for a user of these groups, or for a server of these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name, groups), self._name, key)
        builder = builder.add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
        if sans:
            names = x509.SubjectAlternativeName([_general_name(san) for san in sans])
            builder = builder.add_extension(names, critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        return Pair(cert.public_bytes(serialization.Encoding.PEM), _pem(key))


@dataclass(frozen=True, slots=True)
class Identities:
    """What the API server and its clients prove themselves with, as files of one folder."""

    folder: Path
    authority: Authority
    ca: Path
    """Signs the API server's certificate and those of its clients."""

    @classmethod
    def create(cls, folder: Path, sans: Sequence[str]) -> Self:
        """Make everything anew; `sans` are the names and addresses by which the API server is reached."""
        folder.mkdir(parents=True, exist_ok=True)
        ca, front = Authority.create("kubernetes"), Authority.create("front-proxy-ca")
        ca_file, _ = ca.pair.write(folder, "ca")
        front.pair.write(folder, "front-proxy-ca")
        front.issue("front-proxy-client").write(folder, "front-proxy-client")
        ca.issue("kube-apiserver", sans=sans).write(folder, "apiserver")
        key = ec.generate_private_key(ec.SECP256R1())
        _write_secret(folder / "service-accounts.key", _pem(key))
        (folder / "service-accounts.pub").write_bytes(_public_pem(key))
        return cls(folder, ca, ca_file)

    def client(self, server: str, user: str, *groups: str) -> dict[str, Any]:
        """Give the kubeconfig of a user who shows a certificate."""
        pair = self.authority.issue(user, groups=groups)
        data = {"client-certificate-data": _text(pair.cert), "client-key-data": _text(pair.key)}
        return self._kubeconfig(server, user, data)

    def bearer(self, server: str, user: str, token: str, namespace: str) -> dict[str, Any]:
        """Give the kubeconfig of a user who shows a token."""
        return self._kubeconfig(server, user, {"token": token}, namespace)

    def _kubeconfig(
        self, server: str, user: str, credentials: dict[str, str], namespace: str = "default"
    ) -> dict[str, Any]:
        cluster = {"server": server, "certificate-authority-data": _text(self.authority.pair.cert)}
        context = {"cluster": "test", "user": user, "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }


def webhook_kubeconfig(client: Pair) -> dict[str, Any]:
    """Give the kubeconfig with which an API server shows this certificate to every webhook."""
    data = {"client-certificate-data": _text(client.cert), "client-key-data": _text(client.key)}
    return {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": data}]}


def write_document(path: Path, document: dict[str, Any]) -> Path:
    """Write a document, readable by its owner only, and give its path back."""
    _write_secret(path, yaml.safe_dump(document, sort_keys=False).encode())
    return path


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _text(pem: bytes) -> str:
    return b64encode(pem).decode()


def _name(common_name: str, groups: Sequence[str]) -> x509.Name:
    # Kubernetes reads the groups of a user from the organizations.
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )
