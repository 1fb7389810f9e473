"""Requests over the library's HTTP client: TLS, proxies, credentials; every failure becomes an error of ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
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


class Transport:
    """Sends requests to one API server.

    Credentials and CA that are refused are read again, and the request is sent once more: they expire and are
    rotated while we live. Nothing else is repeated.
    """

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._client: RESTClientObject | None = None
        self._opened = 0.0
        self._renewing = asyncio.Lock()

    async def open(self) -> None:
        """Read address, CA and credentials; raises SettingsError with what cannot be used."""
        configuration = await self._access.read()
        try:
            client = RESTClientObject(configuration)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SettingsError([f"CA or certificate for {configuration.host}: {shorten(str(error))}"]) from error
        await self.close()
        self._client, self._opened = client, self._clock()

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

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
            response = await self._send(method, path, params, limits, body, content_type)
            try:
                if response.status not in _OK:
                    text = await response.read()
                    raise error_from_answer(method, path, response.status, text, response.headers)
                yield response
            finally:
                response.close()

    async def _send(self, method: str, path: str, params: Mapping[str, Any], *rest: Any) -> aiohttp.ClientResponse:
        client = self._client
        try:
            response = await self._request(client, method, path, params, *rest)
        except aiohttp.ClientConnectorCertificateError:
            if not await self._renewed(client):
                raise
        else:
            if response.status != _UNAUTHORIZED or not await self._renewed(client):
                return response
            response.close()
        return await self._request(self._client, method, path, params, *rest)

    async def _request(
        self,
        client: RESTClientObject | None,
        method: str,
        path: str,
        params: Mapping[str, Any],
        limits: aiohttp.ClientTimeout,
        body: Any,
        content_type: str,
    ) -> aiohttp.ClientResponse:
        if client is None:
            raise Unreachable(method, path, "the connection to the API server is closed")
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

    async def _renewed(self, refused: RESTClientObject | None) -> bool:
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
