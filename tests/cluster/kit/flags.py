"""The command lines of etcd, kube-apiserver and kube-controller-manager as the tests run them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cluster.kit.identity import Identities

LOOPBACK: Final = "127.0.0.1"
# Without kubelets: nothing may conclude from a silent node, or from none, that a pod is to be deleted.
_CONTROLLERS: Final = (
    "*",
    "-node-lifecycle-controller",
    "-node-ipam-controller",
    "-taint-eviction-controller",
    "-pod-garbage-collector-controller",
    "-persistentvolume-attach-detach-controller",
    "-persistentvolume-expander-controller",
    "-horizontal-pod-autoscaler-controller",
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the programs listen."""

    etcd: int
    etcd_peers: int
    apiserver: int

    @classmethod
    def free(cls) -> Ports:
        """Find ports that nobody uses at this moment."""
        sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(3)]
        numbers = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return cls(*numbers)


@dataclass(frozen=True, slots=True)
class Shape:
    """What can differ from one test control plane to the next."""

    address: str = LOOPBACK
    """Where clients, and the Service `kubernetes`, find the API server."""
    service_range: str = "10.96.0.0/16"
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    webhook_kubeconfig: Path | None = None
    """Names the certificate that the API server shows to webhooks."""
    apiserver_flags: Sequence[str] = ()
    """Further ones; the last of a name counts."""

    @property
    def names(self) -> tuple[str, ...]:
        """Give every name and address by which the API server is called."""
        cluster_ip = str(ipaddress.ip_network(self.service_range)[1])
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        return tuple(dict.fromkeys((LOOPBACK, self.address, cluster_ip, "localhost", *service)))


def etcd(folder: Path, ports: Ports) -> list[str]:
    """Give etcd's flags: alone, quick, and soon forgotten."""
    clients, peers = f"http://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.etcd_peers}"
    return [
        "--name=test",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=test={peers}",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={4 * 2**30}",
        # A cluster of one need not wait long for the votes of others.
        "--heartbeat-interval=50",
        "--election-timeout=250",
        "--log-level=warn",
    ]


def apiserver(folder: Path, ports: Ports, shape: Shape, who: Identities) -> list[str]:
    """Give kube-apiserver's flags: as in a usual cluster, with endpoints of Services called without a kube-proxy."""
    local = ipaddress.ip_address(shape.address).is_loopback
    return [
        f"--etcd-servers=http://{LOOPBACK}:{ports.etcd}",
        f"--advertise-address={shape.address}",
        f"--bind-address={LOOPBACK if local else '0.0.0.0'}",
        f"--secure-port={ports.apiserver}",
        # A loopback address would be refused as an endpoint of the Service `kubernetes`.
        *(["--endpoint-reconciler-type=none"] if local else []),
        f"--service-cluster-ip-range={shape.service_range}",
        "--enable-aggregator-routing=true",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--profiling=false",
        # Else a stop waits a minute for watches that nobody ends.
        "--shutdown-send-retry-after=true",
        f"--cert-dir={folder}",
        f"--tls-cert-file={who.folder / 'apiserver.crt'}",
        f"--tls-private-key-file={who.folder / 'apiserver.key'}",
        f"--client-ca-file={who.ca}",
        *_front_proxy(who),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={who.folder / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={who.folder / 'service-accounts.key'}",
        *_gates(shape),
        *([f"--admission-control-config-file={folder / 'admission.yaml'}"] if shape.webhook_kubeconfig else []),
        *shape.apiserver_flags,
    ]


def controller_manager(kubeconfig: Path, shape: Shape, who: Identities) -> list[str]:
    """Give kube-controller-manager's flags: every controller that has something to do without nodes."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={who.folder / 'service-accounts.key'}",
        f"--root-ca-file={who.ca}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        f"--service-cluster-ip-range={shape.service_range}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--resource-quota-sync-period=10s",
        "--namespace-sync-period=30s",
        *_gates(shape),
    ]


def admission(webhook_kubeconfig: Path) -> dict[str, Any]:
    """Give the API server's admission configuration: who it is to webhooks."""
    group = "apiserver.config.k8s.io/v1"
    configuration = {
        "apiVersion": group,
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(webhook_kubeconfig),
    }
    plugins = ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")
    return {
        "apiVersion": group,
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": name, "configuration": configuration} for name in plugins],
    }


def _front_proxy(who: Identities) -> list[str]:
    return [
        f"--requestheader-client-ca-file={who.folder / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={who.folder / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={who.folder / 'front-proxy-client.key'}",
    ]


def _gates(shape: Shape) -> list[str]:
    gates = ",".join(f"{name}={str(on).lower()}" for name, on in shape.feature_gates.items())
    return [f"--feature-gates={gates}"] if gates else []
