"""Whom API servers trust to be us, and so whom sidecars trust to be `evenkeel xds`: the CAs of our webhooks."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from typing import Final

from webhook.core import names
from webhook.core.model import JsonObject

_LONGEST: Final = 16 * 1024
"""Characters: it goes into annotations of every Pod whose endpoints are pushed."""
_PEM: Final = "-----BEGIN CERTIFICATE-----"


def bundles(configuration: JsonObject) -> list[str]:
    """Give the `caBundle` of each webhook of a configuration that has one, as they are written."""
    clients = [webhook.get("clientConfig") for webhook in _webhooks(configuration)]
    texts = (client.get("caBundle") for client in clients if isinstance(client, dict))
    return [text for text in texts if isinstance(text, str) and text]


def authorities(texts: Iterable[str]) -> str:
    """Give the CAs of some bundles as PEM, each bundle once; empty where one is no PEM, or all are too long."""
    try:
        found = dict.fromkeys(b64decode(text).decode("ascii").strip() for text in texts)
    except ValueError:
        return ""
    pem = "".join(f"{text}\n" for text in found if _PEM in text)
    return pem if len(pem) <= _LONGEST else ""


def is_ours(configuration: JsonObject) -> bool:
    """Say whether a webhook configuration is the one by which Pods are brought to us, by its webhooks' names."""
    return any(str(webhook.get("name")).endswith(f".{names.DOMAIN}") for webhook in _webhooks(configuration))


def _webhooks(configuration: JsonObject) -> list[JsonObject]:
    found = configuration.get("webhooks")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
