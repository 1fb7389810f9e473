"""With `sidecar.ipv6` a real Envoy answers on IPv6 as on IPv4: the app on loopback, the kubelet on all addresses."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from webhook.demo.images import envoy_binary

pytestmark = pytest.mark.e2e

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "caller", "namespace": "shop"},
    "spec": {
        "template": {
            "metadata": {"labels": {"app": "caller"}},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]},
        }
    },
}
LOOPBACKS = ("127.0.0.1", "[::1]")
READY_SECONDS = 30.0


@pytest.fixture(scope="module")
def envoy(tmp_path_factory) -> Iterator[None]:
    """Run Envoy with what a Pod of a cluster with IPv6 gets; its ports are those of every sidecar."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    folder = tmp_path_factory.mktemp("ipv6")
    (folder / "app.json").write_text(json.dumps(DEPLOYMENT))
    (folder / "settings.yaml").write_text("sidecar: {ipv6: true}\n")
    words = ["config", "-f", folder / "app.json", "deploy/caller", "--static", "--settings", folder / "settings.yaml"]
    made = subprocess.run([sys.executable, "-m", "webhook", *map(str, words)], capture_output=True, check=True)
    (folder / "envoy.yaml").write_bytes(made.stdout)
    flags = ["--disable-hot-restart", "--service-node", "a", "--service-cluster", "b"]
    with (folder / "envoy.log").open("wb") as log:
        words = [envoy_binary(), "--config-path", folder / "envoy.yaml", *flags]
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        _wait_ready(process, folder / "envoy.log")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx.get("http://127.0.0.1:19021/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"Envoy is not ready: {log.read_text()[-2000:]}")


@pytest.mark.parametrize("address", LOOPBACKS)
def test_the_kubelet_s_probe_is_answered(envoy, address: str) -> None:
    """One listener on all addresses of both families."""
    assert httpx.get(f"http://{address}:19021/ready", trust_env=False).status_code == 200


@pytest.mark.parametrize("address", LOOPBACKS)
def test_the_app_s_calls_are_taken(envoy, address: str) -> None:
    """`localhost` may be either; without upstreams the sidecar itself answers, and names the authority."""
    with grpc.insecure_channel(f"{address}:9001") as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/shop.v1.Orders/Get")(b"", timeout=10)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert f"evenkeel: authority '{address}:9001'" in refused.value.details()
