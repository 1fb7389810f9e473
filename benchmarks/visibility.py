"""What a sidecar costs that sees ten Services of a cluster of ten, a thousand or ten thousand.

    PYTHONPATH=. python benchmarks/visibility.py [--json FILE] [--smoke]

A real Envoy with the configuration that the injector renders, told of endpoints by Evenkeel's ADS server over TLS.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml
from envoys import memory_mib
from push_world import World
from report import Report, flags

from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.inject import Injector
from webhook.core.model import DiscoveryMode, Ports, SidecarSettings
from webhook.core.pod import read_pod
from webhook.demo.certificate import CertificateFiles, write_certificate
from webhook.demo.images import envoy_binary
from webhook.templates import dump, load_templates

_HERE: Final = Path(__file__).parent
_SEEN: Final = 10
_ADMIN: Final = 18001
_SETTINGS: Final = SidecarSettings(
    discovery=DiscoveryMode.XDS, ports=Ports(egress=18101, ingress=18102, admin=_ADMIN, probe=18103)
)
_SERVER: Final = f"{_SETTINGS.xds_service}.{_SETTINGS.own_namespace}.svc"
_SETTLE_SECONDS: Final = 5.0
_PATIENCE: Final = 60.0
_COLUMNS: Final = {"services": "Services in the cluster", "seen": "seen", "config_kib": "configuration KiB",
                   "endpoints": "endpoints told", "rss": "RSS MiB", "anon": "anonymous MiB"}  # fmt: skip


def main() -> int:
    """Measure, print, and give the exit code."""
    given = flags(__doc__).parse_args()
    report = Report()
    sizes = (10, 200) if given.smoke else (10, 1_000, 10_000)
    rows = [_measure(size) for size in sizes]
    report.table("A sidecar that sees ten Services", _COLUMNS, rows, "sidecar_visibility")
    report.write(given.json)
    return 0


def _measure(services: int) -> dict[str, Any]:
    world = World(services, max(1, services // _SEEN))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pair = write_certificate(folder, "127.0.0.1", _SERVER)
        with _server(world, pair) as port:
            size = _write(folder, world, pair, port)
            with _envoy(folder) as envoy:
                told = _wait_told(_SEEN * world.endpoints)
                time.sleep(_SETTLE_SECONDS)
                memory = memory_mib(envoy)
    return {"services": services, "seen": _SEEN, "config_kib": round(size / 1024, 1), "endpoints": told, **memory}


@contextmanager
def _server(world: World, pair: CertificateFiles) -> Iterator[int]:
    given = [str(each) for each in (world.services, world.namespaces, pair.cert, pair.key, 0)]
    command = [sys.executable, str(_HERE / "push_server.py"), *given]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["listening"]
        finally:
            process.terminate()


def _write(folder: Path, world: World, pair: CertificateFiles, port: int) -> int:
    """Write the files of a Pod of the first namespace, and give their size; this folder takes the place of a Pod's."""
    catalog = _catalog(world, pair.ca.read_text())
    document = {"metadata": {"name": "caller"}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    outcome = Injector(_SETTINGS, load_templates(None), dump).admit(
        read_pod(document, world.namespace(0)), catalog, None
    )
    assert outcome.sidecar is not None
    annotations = outcome.sidecar.annotations
    for key, file in names.FILES.items():
        if key in annotations:
            (folder / file).write_text(annotations[key].replace(names.CONFIG_FOLDER, str(folder)))
    # Who a client is the benchmark's server reads from the token: a namespace.
    (folder / names.TOKEN_FILE).write_text(world.namespace(0))
    bootstrap = folder / names.FILES[names.BOOTSTRAP]
    bootstrap.write_text(yaml.safe_dump(_on_loopback(yaml.safe_load(bootstrap.read_text()), port)))
    return sum(len(text) for text in annotations.values())


def _catalog(world: World, trust: str) -> Catalog:
    return replace(build_catalog([world.service(number) for number in range(world.services)]), trust=trust)


def _on_loopback(bootstrap: Any, port: int) -> Mapping[str, Any]:
    """Have the control plane at an address of this machine, since no DNS knows it by name."""
    for cluster in bootstrap["static_resources"]["clusters"]:
        if cluster["name"] == names.XDS_CLUSTER:
            del cluster["cluster_type"]
            cluster["type"] = "STATIC"
            [[endpoint]] = [each["lb_endpoints"] for each in cluster["load_assignment"]["endpoints"]]
            endpoint["endpoint"]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    return bootstrap  # type: ignore[no-any-return]


@contextmanager
def _envoy(folder: Path) -> Iterator[int]:
    bootstrap = str(folder / names.FILES[names.BOOTSTRAP])
    identity = ["--service-node", "caller.crowd-0000", "--service-cluster", "crowd-0000"]
    command = [str(envoy_binary()), "--config-path", bootstrap, *identity, "--concurrency", "2", "--log-level", "error"]
    with subprocess.Popen([*command, "--disable-hot-restart"]) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _wait_told(wanted: int) -> int:
    """Wait until Envoy has been told of every endpoint, and give how many it knows."""
    end, found = time.monotonic() + _PATIENCE, 0
    while time.monotonic() < end and found < wanted:
        time.sleep(0.2)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{_ADMIN}/clusters", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
                found = sum("/pushed::10." in line and "::cx_active::" in line for line in lines)
        except OSError:
            continue
    if found < wanted:
        raise TimeoutError(f"the sidecar knows {found} of {wanted} endpoints after {_PATIENCE:g} s")
    return found


if __name__ == "__main__":
    sys.exit(main())
