"""Credentials and certificates that expire, are rotated, or are broken."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
import yaml
from aiohttp import web

from tests.kube.apiserver import ApiServer
from webhook.core.errors import SettingsError
from webhook.kube.api import Api
from webhook.kube.config import Access
from webhook.kube.errors import Forbidden, NotFound, Unreachable
from webhook.kube.resources import NAMESPACES, PODS

POD = PODS.path("shop", "front-0")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


async def test_refused_credentials_are_read_again(server: ApiServer, tmp_path: Path) -> None:
    """A token that was renewed in the file is taken without a restart, however many requests meet the refusal."""
    await server.put(NAMESPACES.path(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    token, clock = tmp_path / "token", Clock()
    token.write_text("good\n")
    access = Access(str(server.kubeconfig(tmp_path, tokenFile=str(token))))
    async with Api(access, clock=clock) as api:
        await api.list(NAMESPACES.path())
        server.token = "better"
        token.write_text("better\n")
        clock.now = 11
        await asyncio.gather(*(api.list(NAMESPACES.path()) for _ in range(3)))

        server.token = "best"
        clock.now = 12
        with pytest.raises(Forbidden, match="has the token or the login expired"):
            await api.list(NAMESPACES.path())

        clock.now = 30
        before = len(server.calls)
        with pytest.raises(Forbidden):
            await api.list(NAMESPACES.path())

    assert len(server.calls) == before + 2


async def test_credentials_that_cannot_be_read_keep_the_old_ones(server: ApiServer, tmp_path: Path) -> None:
    """The refusal is what the caller sees."""
    clock = Clock()
    file = server.kubeconfig(tmp_path)
    async with Api(Access(str(file)), clock=clock) as api:
        server.token = "other"
        file.write_text("{")
        clock.now = 11
        with pytest.raises(Forbidden):
            await api.get(POD)


async def test_a_login_program(server: ApiServer, tmp_path: Path) -> None:
    """Its token is used; one that fails is told at once, not as a refusal later."""
    program = tmp_path / "login"
    program.write_text(
        "#!/bin/sh\n"
        'echo \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"good"}}\'\n'
    )
    program.chmod(0o755)
    user = {"command": str(program), "apiVersion": "client.authentication.k8s.io/v1"}
    async with Api.connect(server.kubeconfig(tmp_path, exec=user)) as api:
        with pytest.raises(NotFound):
            await api.get(POD)

    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(SettingsError, match=r"login program .* gave no credentials"):
        async with Api.connect(server.kubeconfig(tmp_path, exec=user)):
            pass


class Tls:
    """An API server behind TLS, in front of a CA that may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.port = 0

    def trust(self) -> Access:
        """Write the CA of now into the folder."""
        self.ca.cert_pem.write_to_path(str(self.folder / "ca.crt"))
        document = {
            "clusters": [
                {
                    "name": "t",
                    "cluster": {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": "ca.crt"},
                }
            ],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "users": [{"name": "t", "user": {"token": "x"}}],
            "current-context": "t",
        }
        (self.folder / "kubeconfig").write_text(yaml.safe_dump(document))
        return Access(str(self.folder / "kubeconfig"))

    async def serve(self) -> web.AppRunner:
        """Answer with a version."""

        async def version(_: web.Request) -> web.Response:
            return web.json_response({"major": "1", "minor": "34"})

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        app = web.Application()
        app.router.add_get("/version", version)
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        return runner


async def test_a_ca_that_is_rotated(tmp_path: Path) -> None:
    """It is read again when it is refused; until it is in the file the error says what is wrong."""
    tls, clock = Tls(tmp_path), Clock()
    runner = await tls.serve()
    access = tls.trust()
    async with Api(access, clock=clock) as api:
        assert (await api.version()).minor == 34
        await runner.cleanup()
        tls.ca = trustme.CA()
        runner = await tls.serve()
        with pytest.raises(Unreachable, match=r"TLS: .*is the CA that of this API server"):
            await api.version()
        tls.trust()
        clock.now = 11

        assert (await api.version()).minor == 34
    await runner.cleanup()


async def test_a_broken_ca(server: ApiServer, tmp_path: Path) -> None:
    """It is told when the context is entered."""
    tls = Tls(tmp_path)
    access = tls.trust()
    (tmp_path / "ca.crt").write_text("junk")

    with pytest.raises(SettingsError, match=r"CA or certificate for https://127\.0\.0\.1"):
        async with Api(access):
            pass


async def test_without_a_token_none_is_sent(server: ApiServer, tmp_path: Path) -> None:
    """Such as with a client certificate; whether that will do is for the API server to say."""
    async with Api.connect(server.kubeconfig(tmp_path, impersonate="nobody")) as api:
        with pytest.raises(Forbidden):
            await api.get(POD)

    assert "Authorization" not in server.calls[0].headers
