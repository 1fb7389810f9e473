"""What a process finds out about its cluster, and what it does with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from webhook.compose import cluster
from webhook.compose.cluster import KubernetesVersion, found_out
from webhook.kube.api import Api, ServerVersion
from webhook.kube.errors import ClusterError, Forbidden, Unreachable


class FakeApi:
    """Answers each question for the version with the next of some answers."""

    def __init__(self, *answers: ServerVersion | ClusterError) -> None:
        self.answers = list(answers)

    async def version(self) -> ServerVersion:
        """Give the next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, ClusterError):
            raise answer
        return answer


def version(*answers: ServerVersion | ClusterError, told: str = "") -> KubernetesVersion:
    """Make what asks an API server that answers so."""
    return KubernetesVersion(cast("Api", FakeApi(*answers)), told)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_time(_: float) -> None:
        return None

    monkeypatch.setattr(cluster, "asyncio", type("Fake", (), {"sleep": staticmethod(no_time)}))


@pytest.mark.parametrize("minor", [29, 30, 36])
async def test_a_version_with_native_sidecars_is_fine(minor: int) -> None:
    """1.29 has them on by default; `check` asks for 1.30."""
    found = version(ServerVersion(1, minor, f"v1.{minor}.0"))
    before = found.missing()
    await found.run()

    assert before == "the version of Kubernetes is not known yet"
    assert found.missing() is None


async def test_an_old_version_is_never_ready() -> None:
    """A Pod injected there would wait for its init container for ever."""
    found = version(ServerVersion(1, 28, "v1.28.9"))
    await found.run()

    assert "Kubernetes 1.28 has no native sidecars" in (found.missing() or "")


async def test_an_api_server_that_is_away_is_asked_again() -> None:
    """Until it answers."""
    gone = Unreachable("GET", "/version", "no answer")
    found = version(gone, gone, ServerVersion(1, 34, "v1.34.4"))
    await found.run()

    assert found.missing() is None


async def test_one_that_lets_nobody_ask_holds_nobody_back() -> None:
    """Some clusters hide their version; `check` still says what it finds."""
    found = version(Forbidden("GET", "/version", "no", status=403))
    await found.run()

    assert found.missing() is None


@pytest.mark.parametrize(("told", "fine"), [("1.34", True), ("v1.30.2-gke.100", True), ("1.27", False)])
async def test_what_the_operator_says_is_not_asked_for(told: str, fine: bool) -> None:
    """Without a single question."""
    found = version(told=told)
    await found.run()

    assert (found.missing() is None) is fine


HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
10.244.1.5\twebhook-0
"""
SEARCH = "search sidecars.svc.corp.example svc.corp.example corp.example\n"


def _etc(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> Path:
    monkeypatch.setattr(cluster.socket, "gethostname", lambda: "webhook-0")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_outside_of_a_pod_nothing_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own search domains and addresses are no cluster's."""
    monkeypatch.setattr(cluster, "own_namespace", lambda: None)

    assert found_out(_etc(tmp_path, monkeypatch, resolv_conf=SEARCH, hosts="fd00::5 webhook-0\n")) == {}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"resolv_conf": SEARCH, "hosts": HOSTS}, {"sidecar.cluster_domain": "corp.example"}),
        ({"resolv_conf": "nameserver 10.96.0.10\n", "hosts": f"{HOSTS}fd00::5\twebhook-0\n"}, {"sidecar.ipv6": True}),
        ({"hosts": "fd00::5\twebhook-0.service.sidecars.svc.cluster.local\twebhook-0\n"}, {"sidecar.ipv6": True}),
        ({"hosts": f"{HOSTS}fd00::6\tanother-host # webhook-0\n"}, {}),
        ({}, {}),
    ],
)
def test_a_pod_s_own_files_tell_of_its_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: dict[str, Any]
) -> None:
    """Namespace, domain, and whether its addresses are IPv6 too; what they do not tell keeps its default."""
    monkeypatch.setattr(cluster, "own_namespace", lambda: "sidecars")

    assert found_out(_etc(tmp_path, monkeypatch, **files)) == {"sidecar.own_namespace": "sidecars", **expected}
