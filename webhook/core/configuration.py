"""From what a Pod sees to the annotations that hold its configuration. Cached: equal inputs are rendered once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from webhook import __version__
from webhook.core import names
from webhook.core.capture import Capture
from webhook.core.catalog import Catalog
from webhook.core.envoy import resources
from webhook.core.envoy.listeners import listeners
from webhook.core.envoy.routes import Routes
from webhook.core.model import DiscoveryMode, Json, SidecarSettings, UpstreamRef
from webhook.core.sharing import share
from webhook.core.templates import Templates
from webhook.core.view import Target, View, make_view

_MOST_KEPT = 256


@dataclass(frozen=True, slots=True)
class Configuration:
    """The annotations of one Pod, and their size."""

    annotations: Mapping[str, str]
    upstreams: tuple[str, ...]
    size: int
    """Bytes of keys and values, as Kubernetes counts them."""


class Wanted(NamedTuple):
    """Everything that a Pod's configuration depends on."""

    view: View
    default: Target
    app_port: int | None
    access_log: bool
    captures: tuple[Capture, ...] = ()
    mode: DiscoveryMode = DiscoveryMode.DNS
    trust: str = ""
    """The CAs that sign `evenkeel xds`, PEM; empty where they are not known."""


class Configurations:
    """Renders configurations; deterministic, the same view gives the same bytes."""

    def __init__(self, settings: SidecarSettings, templates: Templates, dump: Callable[[Json], str]) -> None:
        """Take how to write a document as text from outside: the core knows no format."""
        self._settings = settings
        self._templates = templates
        self._dump = dump
        self._routes = Routes(settings, templates.retries)
        self._bootstraps = {mode: self._text(resources.bootstrap(templates, settings, mode)) for mode in DiscoveryMode}
        self._identity = self._text(resources.identity(templates))
        self._views: dict[_ViewKey, _Seen] = {}
        keep = lru_cache(maxsize=_MOST_KEPT)
        self.configuration = keep(self._configuration)
        self._clusters_text = keep(self._write_clusters)
        self._routes_text = keep(self._write_routes)
        self._listeners_text = keep(self._write_listeners)
        self._trust_text = keep(self._write_trust)

    def view(
        self,
        catalog: Catalog,
        namespace: str,
        references: tuple[UpstreamRef, ...] | None,
        mode: DiscoveryMode = DiscoveryMode.DNS,
    ) -> _Seen:
        """Say what pods of a namespace see; the same View object as long as its content is the same."""
        key = (namespace, references, mode)
        seen = self._views.get(key)
        if seen is not None and seen.catalog is catalog:
            return seen
        self._views.pop(key, None)  # it is written anew below, so nothing else has to make room for it
        view, missing = make_view(catalog, namespace, references, mode)
        if seen is not None and seen.view.same(view):
            view = seen.view
        while len(self._views) >= _MOST_KEPT:
            del self._views[next(iter(self._views))]
        self._views[key] = _Seen(catalog, view, missing)
        return self._views[key]

    def _configuration(self, wanted: Wanted) -> Configuration:
        view, captures = wanted.view, wanted.captures
        written = {
            names.BOOTSTRAP: self._bootstraps[wanted.mode],
            names.CLUSTERS: self._clusters_text(view, wanted.app_port, captures, wanted.mode),
            names.ROUTES: self._routes_text(view, wanted.default),
            names.LISTENERS: self._listeners_text(wanted.app_port is not None, wanted.access_log, captures),
        }
        if captures:
            written[names.CAPTURES] = self._text({"resources": [self._routes.captured(captures)]})
        if wanted.mode is DiscoveryMode.XDS:
            written[names.IDENTITY] = self._identity
            # What a live Pod trusts stays while nobody knows better.
            written |= {names.TRUST: self._trust_text(wanted.trust)} if wanted.trust else {}
        upstreams = tuple(upstream.cluster for upstream in view.upstreams)
        written[names.STATUS] = json.dumps(_status(wanted, upstreams, written), separators=(",", ":"))
        return Configuration(MappingProxyType(written), upstreams, annotation_bytes(written))

    def _text(self, document: Json) -> str:
        return self._dump(share(document))

    def _write_clusters(
        self, view: View, app_port: int | None, captures: tuple[Capture, ...], mode: DiscoveryMode
    ) -> str:
        upstreams = {upstream.cluster: upstream for upstream in view.upstreams}
        for capture in captures:
            for listen in capture.listens:
                upstreams.setdefault(listen.upstream.cluster, listen.upstream)
        return self._text(
            resources.clusters(self._templates, self._settings, tuple(upstreams.values()), app_port, mode)
        )

    def _write_routes(self, view: View, default: Target) -> str:
        return self._text({"resources": [self._routes.configuration(view, default)]})

    def _write_listeners(self, ingress: bool, access_log: bool, captures: tuple[Capture, ...]) -> str:
        return self._text(
            listeners(self._templates, self._settings, ingress=ingress, access_log=access_log, captures=captures)
        )

    def _write_trust(self, authorities: str) -> str:
        return self._text(resources.trust(self._templates, authorities))


_ViewKey = tuple[str, tuple[UpstreamRef, ...] | None, DiscoveryMode]


def _status(wanted: Wanted, upstreams: tuple[str, ...], written: Mapping[str, str]) -> Mapping[str, Any]:
    """Give the summary for people and tools; what most Pods have not is not in it."""
    # Of what a live Pod is given anew: its bootstrap stays the one that it was created with. And whom it trusts too
    # while that is not known: a digest with it would have every Pod written to for a moment of not knowing.
    refreshed = "\0".join(written[key] for key in names.REFRESHED if key in written and key != names.TRUST)
    digest = hashlib.sha256(refreshed.encode()).hexdigest()[:16]
    status: dict[str, Any] = {"version": __version__, "upstreams": upstreams, "digest": digest}
    if wanted.captures:
        status["captures"] = {str(capture.service): capture.address for capture in wanted.captures}
    if wanted.mode is not DiscoveryMode.DNS:
        status["discovery"] = wanted.mode
    return status


@dataclass(frozen=True, slots=True)
class _Seen:
    """What pods of a namespace see of one catalog."""

    catalog: Catalog
    view: View
    missing: tuple[UpstreamRef, ...]
    """References that nothing answers (yet)."""


def annotation_bytes(annotations: Mapping[str, str]) -> int:
    """Count bytes as Kubernetes does for its limit on all annotations of an object."""
    # A file of JSON may hold half a surrogate pair: it is counted, and is for others to refuse.
    texts = (text for pair in annotations.items() for text in pair)
    return sum(len(text.encode(errors="surrogatepass")) for text in texts)
