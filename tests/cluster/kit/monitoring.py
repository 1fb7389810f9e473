"""A real Prometheus that scrapes what monitors of the Prometheus operator select, as the operator has it do that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.cluster.kit.install import until
from tests.cluster.kit.process import Program
from tests.cluster.kit.rest import Json, documents
from tests.controlplane.build import module_folder

_ADDRESS: Final = "127.0.0.1:19090"
_OFTEN: Final = "1s"
_KINDS: Final = ("podmonitors", "servicemonitors", "prometheusrules")
_LABELS: Final = {"namespace": "namespace", "pod_container_name": "container", "pod_name": "pod"}


class Prometheus:
    """What it found, by its own HTTP API."""

    async def targets(self) -> Counter[tuple[str, str, str]]:
        """Give job, address and health of each target."""
        found = (await self._ask("targets", state="active"))["activeTargets"]
        return Counter((one["labels"]["job"], one["labels"]["instance"], one["health"]) for one in found)

    async def alerts(self) -> list[Json]:
        """Give the alerts among its rules."""
        groups = (await self._ask("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]

    async def query(self, expression: str) -> dict[str, float]:
        """Give a query's answer now, by upstream."""
        found = (await self._ask("query", query=expression))["result"]
        return {one["metric"].get("envoy_cluster_name", ""): float(one["value"][1]) for one in found}

    async def _ask(self, what: str, **params: str) -> Any:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            answer = await client.get(f"http://{_ADDRESS}/api/v1/{what}", params=params)
        document = answer.json()
        assert document["status"] == "success", document
        return document["data"]


@asynccontextmanager
async def prometheus(
    program: Path, folder: Path, kubeconfig: Path, monitors: Sequence[Json], rules: Sequence[Json]
) -> AsyncIterator[Prometheus]:
    """Run it for a while, with the rules of these PrometheusRules."""
    for number, rule in enumerate(rules):
        (folder / f"rules-{number}.yaml").write_text(yaml.safe_dump(rule["spec"]))
    config = {
        "global": {"scrape_interval": _OFTEN, "evaluation_interval": _OFTEN},
        "rule_files": [str(folder / "rules-*.yaml")],
        "scrape_configs": [job for monitor in monitors for job in _jobs(monitor, str(kubeconfig))],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    flags = {"config.file": folder / "prometheus.yaml", "storage.tsdb.path": folder, "web.listen-address": _ADDRESS}
    found = Program([str(program), *(f"--{key}={value}" for key, value in flags.items())], folder / "prometheus.log")
    found.start()

    async def ready() -> bool:
        found.check()
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://{_ADDRESS}/-/ready")).is_success

    try:
        await until(ready, "answered by Prometheus")
        yield Prometheus()
        found.check()
    finally:
        found.kill()


def definitions() -> list[Json]:
    """Give the operator's CustomResourceDefinitions of what we ship."""
    folder = module_folder("prometheusoperator") / "example" / "prometheus-operator-crd"
    return [one for kind in _KINDS for one in documents(folder / f"monitoring.coreos.com_{kind}.yaml")]


def _jobs(monitor: Json, kubeconfig: str) -> Iterator[Json]:
    """Do what the operator does (`generatePodMonitorConfig`, `generateServiceMonitorConfig`) with the fields we use."""
    metadata, spec = monitor["metadata"], monitor["spec"]
    service = monitor["kind"] == "ServiceMonitor"
    found: Json = {"role": "endpointslice" if service else "pod", "kubeconfig_file": kubeconfig}
    if not spec.get("namespaceSelector", {}).get("any"):
        found["namespaces"] = {"names": [metadata["namespace"]]}
    for endpoint in spec["endpoints" if service else "podMetricsEndpoints"]:
        yield {
            "job_name": f"{monitor['kind']}/{metadata['name']}",
            "metrics_path": endpoint["path"],
            "kubernetes_sd_configs": [found],
            "relabel_configs": [
                *_selected("service" if service else "pod", spec["selector"]["matchLabels"]),
                *_port("endpointslice_port_name" if service else "pod_container_port_name", endpoint.get("port")),
                *({"source_labels": [f"__meta_kubernetes_{old}"], "target_label": new} for old, new in _LABELS.items()),
                *({_snake(key): value for key, value in one.items()} for one in endpoint.get("relabelings", ())),
            ],
        }


def _selected(kind: str, labels: dict[str, str]) -> Iterator[Json]:
    for key, value in labels.items():
        label = re.sub(r"[^a-zA-Z0-9_]", "_", key)
        yield {"action": "keep", "source_labels": [f"__meta_kubernetes_{kind}_label_{label}"], "regex": value}


def _port(label: str, name: str | None) -> Iterator[Json]:
    if name is not None:
        yield {"action": "keep", "source_labels": [f"__meta_kubernetes_{label}"], "regex": name}


def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", key)
