"""The route configuration of the egress listener: authority, then path, then default, else a message.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route.proto
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from webhook.core import names
from webhook.core.capture import Capture
from webhook.core.envoy.listeners import listener_name
from webhook.core.model import Json, Retry, Service, SidecarSettings, Upstream
from webhook.core.template import Template
from webhook.core.view import Ambiguous, Target, Unknown, View

_TYPE: Final = "type.googleapis.com/envoy.config.route.v3."
_FORWARD_PROXY_ON: Final = {
    "forward_proxy": {
        "@type": f"{_TYPE}FilterConfig",
        "config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig"
        },
    }
}
_LOCALHOST: Final = ("localhost", "127.0.0.1")
_MOST_NAMED: Final = 20
_LONGEST: Final = 1000
"""Characters of names in one message: it travels in a header, and callers refuse long ones."""
_EVERYTHING: Final = {"prefix": "/"}
_CAPTURED_HEADER: Final = "evenkeel-captured"
"""As captured.yaml says it."""
_CALL: Final = "evenkeel: authority '%REQ(:AUTHORITY):128%' path '%REQ(:PATH):128%': "


class Routes:
    """Builds route configurations; what recurs is one object, so that it is written once."""

    def __init__(self, settings: SidecarSettings, retries: Template) -> None:
        self._settings = settings
        self._retries: dict[str, Json] = retries.fill()
        # An authority without a port, or with the one that was dialled, names no port of the Service.
        self._no_port = _authority({"safe_regex": {"regex": ".*:[0-9]+"}}, invert=True)
        self._dialled = _authority({"suffix": f":{settings.ports.egress}"})

    def configuration(self, view: View, default: Target) -> Json:
        """Give the RouteConfiguration for what a pod sees."""
        known = _known(view)
        actions = {upstream: self._to(upstream) for service in view.services for upstream in service.upstreams}
        nowhere = _answer(f"no upstream; {known}")
        services = (self._service(service, view.namespace, actions) for service in view.services)
        return {
            "@type": f"{_TYPE}RouteConfiguration",
            "name": names.EGRESS_ROUTES,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": [
                *services,
                self._any_headless_service(),
                self._localhost(view, default, actions, known),
                {"name": "unknown", "domains": ["*"], "routes": [nowhere]},
            ],
        }

    def captured(self, captures: Iterable[Capture]) -> Json:
        """Give the RouteConfiguration for captured names: by the address that a call came to, whatever its authority.

        That travels in a header which the listener sets and this configuration takes away: the address and port, or the
        listener's name where an operator's own template prefers that.
        """
        balanced = [(one, each) for one in captures for each in one.listens if each.grpc]
        actions = {each.upstream: self._to(each.upstream) for _, each in balanced}
        return {
            "@type": f"{_TYPE}RouteConfiguration",
            "name": names.CAPTURED_ROUTES,
            "vhost_header": _CAPTURED_HEADER,
            "request_headers_to_remove": [_CAPTURED_HEADER],
            "virtual_hosts": [
                {
                    "name": listener_name(one, each.port),
                    "domains": [f"{one.address}:{each.port}", listener_name(one, each.port)],
                    "routes": [{"match": _EVERYTHING, "route": actions[each.upstream]}],
                }
                for one, each in balanced
            ]
            # Connections outlive the listener that they came in by.
            + [{"name": "gone", "domains": ["*"], "routes": [_answer("the name is balanced no more; connect anew")]}],
        }

    def _service(self, service: Service, namespace: str, actions: dict[Upstream, Json]) -> Json:
        first = actions[service.upstreams[0]]
        by_port = [
            {"match": _authority({"suffix": f":{port}"}), "route": actions[upstream]}
            for port, upstream in _ports(service).items()
        ]
        have = _some([str(port) for port in _ports(service)], " and ")
        return {
            "name": str(service.ref),
            "domains": self._domains(service, namespace),
            "routes": [
                *by_port,
                {"match": self._no_port, "route": first},
                {"match": self._dialled, "route": first},
                _answer(f"no such port; {service.ref} has {have}"),
            ],
        }

    def _domains(self, service: Service, namespace: str) -> list[str]:
        full = f"{service.ref}.svc.{self._settings.cluster_domain}"
        domains = [str(service.ref), f"{service.ref}.svc", full]
        bare = service.ref.name
        # Only in its own namespace; and a Service may be called localhost, but localhost is no Service.
        if service.ref.namespace == namespace and bare not in _LOCALHOST:
            domains.insert(0, bare)
        return domains

    def _any_headless_service(self) -> Json:
        route = self._retrying(Retry.DEFAULT, {"cluster": names.FORWARD_PROXY_CLUSTER, "timeout": "0s"})
        return {
            "name": names.FORWARD_PROXY_CLUSTER,
            "domains": [f"*.svc.{self._settings.cluster_domain}"],
            "typed_per_filter_config": _FORWARD_PROXY_ON,
            "routes": [{"match": _EVERYTHING, "route": route}],
        }

    def _localhost(self, view: View, default: Target, actions: dict[Upstream, Json], known: str) -> Json:
        routes: list[Json] = []
        for grpc_service, target in view.by_path.items():
            match = {"prefix": f"/{grpc_service}/"}
            if isinstance(target, Ambiguous):
                both = _some(target.claimants, " and ")
                routes.append(_answer(f"{both} all claim {grpc_service}; call one by its name", match))
            else:
                routes.append({"match": match, "route": actions[target]})
        routes.append(_default(default, actions, known))
        local = [*_LOCALHOST, "[::1]"] if self._settings.ipv6 else list(_LOCALHOST)
        return {"name": "localhost", "domains": local, "routes": routes}

    def _to(self, upstream: Upstream) -> Json:
        # Unset would be 15 s and cut every stream; a client's own deadline goes on working.
        route: dict[str, Any] = {"cluster": upstream.cluster, "timeout": "0s"}
        longest = upstream.policy.max_timeout
        if longest is not None:
            route["max_stream_duration"] = {"max_stream_duration": longest, "grpc_timeout_header_max": longest}
        return self._retrying(upstream.policy.retry, route)

    def _retrying(self, retry: Retry, route: dict[str, Any]) -> Json:
        return route if retry is Retry.OFF else {**route, "retry_policy": self._retries[retry]}


def _ports(service: Service) -> dict[int, Upstream]:
    """Map each port that an authority may carry; the Service's own ports come before target ports."""
    by_service_port = {upstream.service_port: upstream for upstream in service.upstreams}
    by_target_port = {upstream.port: upstream for upstream in reversed(service.upstreams)}
    return {**by_service_port, **{port: up for port, up in by_target_port.items() if port not in by_service_port}}


def _authority(string_match: Json, *, invert: bool = False) -> Json:
    header = {"name": ":authority", "string_match": string_match}
    return {"prefix": "/", "headers": [{**header, "invert_match": True} if invert else header]}


def _answer(message: str, match: Json = _EVERYTHING) -> Json:
    """Answer UNAVAILABLE with a message. What is put in is checked names only, none holds a `%`."""
    body = {"text_format_source": {"inline_string": _CALL + message}}
    return {"match": match, "direct_response": {"status": 503, "body_format": body}}


def _default(default: Target, actions: dict[Upstream, Json], known: str) -> Json:
    match default:
        case Upstream():
            return {"match": _EVERYTHING, "route": actions[default]}
        case Ambiguous(claimants):
            several = _some(claimants)
            hint = f"call one by its name or set annotation {names.DEFAULT_UPSTREAM}"
            return _answer(f"several upstreams are possible: {several}; {hint}")
        case Unknown(reference):
            return _answer(f"annotation {names.DEFAULT_UPSTREAM} names {reference}, which is no upstream; {known}")
        case None:
            return _answer(f"no upstream; {known}")


def _known(view: View) -> str:
    if not view.services:
        return "none is known here"
    return f"known: {_some(list(_described(view.services)))}"


def _described(services: Iterable[Service]) -> Iterator[str]:
    for service in services:
        paths = f" ({_some(service.grpc_services[:3], ' ')})" if service.grpc_services else ""
        ports = _some([f"{service.ref}:{upstream.service_port}" for upstream in service.upstreams[:4]], " ")
        yield f"{ports}{paths}"


def _some(texts: Sequence[str], between: str = ", ") -> str:
    named: list[str] = []
    left = _LONGEST
    for text in texts[:_MOST_NAMED]:
        left -= len(text)
        if named and left < 0:
            break
        named.append(text)
    more = f" and {len(texts) - len(named)} more" if len(texts) > len(named) else ""
    return between.join(named) + more
