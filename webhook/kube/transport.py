"""Requests over the library's HTTP client: TLS, proxies, credentials; every failure becomes an error of ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException
from yarl import URL

from webhook import __version__
from webhook.core.errors import SettingsError
from webhook.kube.config import Access
from webhook.kube.errors import Silent, Unreachable, error_from_answer, shorten

_READ_AGAIN_SECONDS: Final = 10.0
"""Refused credentials are read again at most this often: a login program costs."""
_OK: Final = range(200, 300)
_UNAUTHORIZED: Final = 401


@dataclass(eq=False, slots=True)
class _Client:
    """The library's client with one set of credentials, and how many requests are using it."""

    rest: RESTClientObject
    users: int = 0


class Transport:
    """Sends requests to one API server.

    Credentials and CA that are refused are read again, and the request is sent once more: they expire and are
    rotated while we live. Nothing else is repeated.
    """

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._client: _Client | None = None
        self._opened = 0.0
        self._renewing = asyncio.Lock()

    async def open(self) -> None:
        """Read address, CA and credentials; raises SettingsError with what cannot be used."""
        configuration = await self._access.read()
        try:
            client = _Client(RESTClientObject(configuration))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SettingsError([f"CA or certificate for {configuration.host}: {shorten(str(error))}"]) from error
        # The one before, if there is one, is closed by the last request that uses it.
        self._client, self._opened = client, self._clock()

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.rest.close()

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        limits: aiohttp.ClientTimeout,
        body: Any = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give its answer while it is being read; raises a ClusterError unless it is one of success.

        Also what goes wrong while the caller reads it becomes a ClusterError.
        """
        with translated(method, path):
            async with AsyncExitStack() as stack:
                response = await self._send(stack, method, path, params, limits, body, content_type)
                stack.callback(response.close)
                if response.status not in _OK:
                    text = await response.read()
                    raise error_from_answer(method, path, response.status, text, response.headers)
                yield response

    async def _send(
        self, stack: AsyncExitStack, method: str, path: str, params: Mapping[str, Any], *rest: Any
    ) -> aiohttp.ClientResponse:
        client = await stack.enter_async_context(self._lent(method, path))
        try:
            response = await self._request(client.rest, method, path, params, *rest)
        except aiohttp.ClientConnectorCertificateError:
            if not await self._renewed(client):
                raise
        else:
            if response.status != _UNAUTHORIZED or not await self._renewed(client):
                return response
            response.close()
        client = await stack.enter_async_context(self._lent(method, path))
        return await self._request(client.rest, method, path, params, *rest)

    @asynccontextmanager
    async def _lent(self, method: str, path: str) -> AsyncIterator[_Client]:
        """Give the client of now; one that was replaced meanwhile is closed by its last user."""
        client = self._client
        if client is None:
            raise Unreachable(method, path, "the connection to the API server is closed")
        client.users += 1
        try:
            yield client
        finally:
            client.users -= 1
            if client is not self._client and not client.users:
                await client.rest.close()

    async def _request(
        self,
        client: RESTClientObject,
        method: str,
        path: str,
        params: Mapping[str, Any],
        limits: aiohttp.ClientTimeout,
        body: Any,
        content_type: str,
    ) -> aiohttp.ClientResponse:
        configuration = client.configuration
        url = configuration.host.rstrip("/") + path + _query(params)
        headers = {"Accept": "application/json", "User-Agent": f"evenkeel/{__version__}", "Content-Type": content_type}
        # Asking for the header is what makes the library read the service account's token again, each minute.
        token = (await configuration.auth_settings()).get("BearerToken")
        if token is not None and token["value"]:
            headers["Authorization"] = token["value"].strip()
        answer = await client.request(method, URL(url, encoded=True), headers, body, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _renewed(self, refused: _Client) -> bool:
        """Read the credentials again, unless somebody just has; say whether there are others than the refused."""
        async with self._renewing:
            if self._client is refused and self._clock() - self._opened >= _READ_AGAIN_SECONDS:
                try:
                    await self.open()
                except SettingsError:
                    return False  # half written, perhaps: the refusal is what the caller shall see
            return self._client is not refused


@contextmanager
def translated(method: str, path: str) -> Iterator[None]:
    """Turn what the HTTP client and the files of credentials raise into Unreachable."""
    try:
        yield
    except aiohttp.SocketTimeoutError as error:
        raise Silent(method, path, "nothing came for too long, the connection may be dead") from error
    except TimeoutError as error:
        raise Unreachable(method, path, "the API server was silent for too long") from error
    except aiohttp.ClientSSLError as error:
        raise Unreachable(method, path, f"TLS: {shorten(str(error))}; is the CA that of this API server?") from error
    except (aiohttp.ClientError, OSError, ConfigException) as error:
        raise Unreachable(method, path, shorten(str(error) or type(error).__name__)) from error


def _query(params: Mapping[str, Any]) -> str:
    given = {key: str(value).lower() if isinstance(value, bool) else value for key, value in params.items()}
    text = urlencode({key: value for key, value in given.items() if value is not None})
    return f"?{text}" if text else ""
