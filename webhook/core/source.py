"""Where a Pod learns of endpoints: by DNS, or pushed; whose word that is, and what stands against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webhook.core import names
from webhook.core.annotations import namespace_words
from webhook.core.catalog import Catalog
from webhook.core.model import DiscoveryMode, Namespace, Overrides, SidecarSettings
from webhook.core.pod import Pod
from webhook.core.volume import carries_token

_NO_TRUST: Final = "it is not known which CA signs the certificate of evenkeel xds"
_NO_TOKEN: Final = "the pod was created without a token by which it could say who it is; make it anew"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Source:
    """Where endpoints come from."""

    mode: DiscoveryMode
    said: str
    """Who said so."""
    against: str = ""
    """Why they come by DNS although somebody asked for more; else empty."""


def find_source(
    pod: Pod, overrides: Overrides, catalog: Catalog, settings: SidecarSettings, *, live: bool = False
) -> Source:
    """Say where a Pod's endpoints come from: the Pod's word goes before its Namespace's, that before the operator's.

    Of a live Pod the spec is what it is: without a token it stays with DNS.
    """
    wish, said = overrides.discovery, f"annotation {names.DISCOVERY} of the pod"
    if wish is None:
        wish, said = namespace_source(catalog.namespace(pod.namespace), settings)
    if wish is DiscoveryMode.DNS:
        return Source(wish, said)
    possible = carries_token(pod) if live else bool(catalog.trust)
    if possible:
        return Source(wish, said)
    return Source(DiscoveryMode.DNS, said, _NO_TOKEN if live else _NO_TRUST)


def namespace_source(namespace: Namespace, settings: SidecarSettings) -> tuple[DiscoveryMode, str]:
    """Say where Pods of a Namespace that say nothing are to learn of endpoints, and who said so."""
    words, _ = namespace_words(namespace.annotations)
    if words.discovery is not None:
        return words.discovery, f"annotation {names.DISCOVERY} of namespace {namespace.name}"
    return settings.discovery, "setting sidecar.discovery"
