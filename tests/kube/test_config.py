"""Where the cluster is, and what it says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from webhook.core.errors import SettingsError
from webhook.kube.config import Access, cluster_domain, find_access, own_namespace


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.0.0.10\n", "cluster.local"),
        ("nameserver 10.0.0.10\n  search\tshop.svc.acme.example. svc.acme.example. acme.example.\n", "acme.example"),
        ("search svc.old\nsearch svc.new\n", "new"),
        ("search shop.svc.cluster.local\n", None),
        ("search svc.\n", None),
        ("# search svc.cluster.local\n", None),
        ("search lan\n", None),
        ("", None),
    ],
)
def test_the_cluster_domain(text: str, expected: str | None) -> None:
    """What stands in a Pod's search list after `svc.`; the last list counts, as for the resolver."""
    assert cluster_domain(text) == expected


def test_the_own_namespace(tmp_path: Path) -> None:
    """As the service account's files have it; nothing outside of a Pod."""
    assert own_namespace(tmp_path) is None

    (tmp_path / "namespace").write_text("evenkeel-system\n")
    assert own_namespace(tmp_path) == "evenkeel-system"

    (tmp_path / "namespace").write_bytes(b"\xff")
    assert own_namespace(tmp_path) is None


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """Make a service account's files."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("secret")
    (folder / "ca.crt").write_text("CA")
    return folder


INSIDE = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_where_credentials_are_looked_for(tmp_path: Path, account: Path) -> None:
    """The file given, then the Pod's, then KUBECONFIG, then the usual place."""
    given, other = tmp_path / "given", tmp_path / "other"
    usual = tmp_path / ".kube" / "config"
    usual.parent.mkdir()
    for file in (given, other, usual):
        file.write_text("{}")
    paths = f"{tmp_path / 'none'}:{other}"
    everywhere: dict[str, Any] = {"account": account, "home": tmp_path}

    assert find_access(given, "c", env=INSIDE, **everywhere).kubeconfig == str(given)
    assert find_access(None, None, env=INSIDE, **everywhere).kubeconfig is None
    assert find_access(None, "c", env={"KUBECONFIG": paths}, **everywhere) == Access(paths, "c")
    assert find_access(None, None, env={}, **everywhere).kubeconfig == str(usual)


def test_what_was_looked_for_is_told(tmp_path: Path) -> None:
    """Every place."""
    missing = tmp_path / "missing"

    with pytest.raises(SettingsError, match=f"kubeconfig: there is no file {missing}"):
        find_access(missing, None)
    with pytest.raises(SettingsError, match=f"KUBECONFIG: there is no file {missing}"):
        find_access(None, None, env={"KUBECONFIG": str(missing)}, account=tmp_path, home=tmp_path)
    with pytest.raises(SettingsError, match=f"neither a service account in {tmp_path} nor KUBECONFIG nor .*; set kube"):
        find_access(None, None, env={}, account=tmp_path, home=tmp_path)


async def test_a_service_account(account: Path) -> None:
    """Its token is read anew, at most each minute, where it is asked for."""
    configuration = await Access(None, account=account, env=INSIDE).read()

    assert configuration.host == "https://10.0.0.1:443"
    assert configuration.ssl_ca_cert == str(account / "ca.crt")
    assert (await configuration.auth_settings())["BearerToken"]["value"] == "bearer secret"


async def test_a_service_account_without_a_ca(account: Path) -> None:
    """It is told which."""
    (account / "ca.crt").unlink()

    with pytest.raises(SettingsError, match=f"service account {account}: "):
        await Access(None, account=account, env=INSIDE).read()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "current-context: a",
        json.dumps({"current-context": "a", "contexts": [], "clusters": [], "users": []}),
        json.dumps({"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "b"}}], "clusters": []}),
        json.dumps({"current-context": "a", "contexts": 7, "clusters": 7}),
    ],
)
async def test_a_broken_kubeconfig(tmp_path: Path, text: str) -> None:
    """Whatever the library trips over, the file is named."""
    file = tmp_path / "kubeconfig"
    file.write_text(text)

    with pytest.raises(SettingsError, match=f"kubeconfig {file}: "):
        await Access(str(file)).read()


async def test_another_context(tmp_path: Path) -> None:
    """Chosen by name; an unknown one is told."""
    file = tmp_path / "kubeconfig"
    names = ("one", "two")
    document = {
        "current-context": "one",
        "contexts": [{"name": name, "context": {"cluster": name, "user": "jo"}} for name in names],
        "users": [{"name": "jo", "user": {"username": "jo", "password": "x"}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example:6443"}} for name in names],
    }
    file.write_text(json.dumps(document))

    assert (await Access(str(file)).read()).host == "https://one.example:6443"
    assert (await Access(str(file), "two").read()).host == "https://two.example:6443"
    with pytest.raises(SettingsError, match="three"):
        await Access(str(file), "three").read()
