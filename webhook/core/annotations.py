"""What people write on Pods: one table of parsers, every problem at once, typos with the nearest key.

The texts are written by strangers. A parser gives a typed value or a sentence; nothing is interpolated.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from webhook.core import names
from webhook.core.model import DiscoveryMode, Mode, Overrides, UpstreamRef
from webhook.core.quantity import quantity

LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label (RFC 1123): what Services and namespaces are called."""
PORT_NAME: Final = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_IMAGE: Final = re.compile(
    r"(?P<host>localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d))(:\d{1,5})?"
    r"(/[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_LOG_LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical", "off")
_LARGEST_PORT: Final = 65535
_MOST_WORKERS: Final = 128
_MOST_REFERENCES: Final = 1000
_SHOWN: Final = 60


def shown(text: str) -> str:
    """Quote a stranger's text for a message, cut to a bearable length."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def one_of(*accepted: str) -> Callable[[str], str]:
    """Make a parser that accepts just these words."""

    def parse(text: str) -> str:
        if text not in accepted:
            raise ValueError(f"accepted: {', '.join(accepted)}{nearest(text, accepted)}")
        return text

    return parse


def nearest(word: str, known: Iterable[str]) -> str:
    """Give `; did you mean X?` for a likely typo, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _nearest_key(key: str, known: Iterable[str]) -> str:
    """Give the nearest key by what stands after the slash: what is before it is the same in all."""
    by_name = {each.partition("/")[2]: each for each in known}
    close = difflib.get_close_matches(key.rpartition("/")[2], by_name, n=1, cutoff=0.6)
    return f"; did you mean {by_name[close[0]]}?" if close else ""


def switch(text: str) -> bool:
    """Read `enabled` or `disabled`."""
    return one_of(names.ENABLED, names.DISABLED)(text) == names.ENABLED


def port(text: str) -> int:
    """Read a port number, 1 to 65535."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= _LARGEST_PORT):  # noqa: PLR2004
        raise ValueError(f"accepted: a port number from 1 to {_LARGEST_PORT}")
    return int(text)


def reference(text: str) -> UpstreamRef:
    """Read `name[.namespace][:port]`; the port is a number or a name."""
    host, colon, port_text = text.strip().partition(":")
    name, dot, namespace = host.partition(".")
    parts = [name, namespace] if dot else [name]
    bad_port = colon and not _is_port(port_text)
    if bad_port or not all(LABEL.fullmatch(part) for part in parts):
        raise ValueError(f"{shown(text)} is no upstream; accepted: name[.namespace][:port]")
    return UpstreamRef(name, namespace or None, port_text or None)


def _is_port(text: str) -> bool:
    if text.isascii() and text.isdigit():
        return len(text) <= 5 and 0 < int(text) <= _LARGEST_PORT  # noqa: PLR2004
    return PORT_NAME.fullmatch(text) is not None


def references(text: str) -> tuple[UpstreamRef, ...]:
    """Read a comma separated list of upstreams, in any order; the result is sorted, each once."""
    parts = text.split(",")
    if len(parts) > _MOST_REFERENCES:
        raise ValueError(f"accepted: at most {_MOST_REFERENCES} upstreams, found {len(parts)}")
    found = {reference(part) for part in parts}
    return tuple(sorted(found, key=str))


def image(text: str) -> str:
    """Read a fully qualified image reference."""
    if len(text) > 512 or _IMAGE.fullmatch(text) is None:  # noqa: PLR2004
        raise ValueError("accepted: a fully qualified image such as docker.io/envoyproxy/envoy:v1.40.0")
    return text


def cpu(text: str) -> str:
    """Read an amount of CPU, at least 1m."""
    if quantity(text) * 1000 < 1:
        raise ValueError("accepted: at least 1m")
    return text


def memory(text: str) -> str:
    """Read an amount of memory, at least 1Mi: less is a forgotten unit."""
    if quantity(text) < 1024 * 1024:
        raise ValueError("accepted: at least 1Mi; without a unit the number means bytes")
    return text


def concurrency(text: str) -> int:
    """Read a number of worker threads."""
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 0 < int(text) <= _MOST_WORKERS):  # noqa: PLR2004
        raise ValueError(f"accepted: a number of worker threads from 1 to {_MOST_WORKERS}")
    return int(text)


def discovery(text: str) -> DiscoveryMode:
    """Read `dns` or `xds`."""
    return DiscoveryMode(one_of(*DiscoveryMode)(text))


_Parser = Callable[[str], Any]

POD: Final[Mapping[str, tuple[str, _Parser]]] = {
    names.UPSTREAMS: ("upstreams", references),
    names.DEFAULT_UPSTREAM: ("default_upstream", reference),
    names.APP_PORT: ("app_port", port),
    names.PROXY_CPU_REQUEST: ("cpu_request", cpu),
    names.PROXY_CPU_LIMIT: ("cpu_limit", cpu),
    names.PROXY_MEMORY_REQUEST: ("memory_request", memory),
    names.PROXY_MEMORY_LIMIT: ("memory_limit", memory),
    names.PROXY_IMAGE: ("image", image),
    names.PROXY_LOG_LEVEL: ("log_level", one_of(*_LOG_LEVELS)),
    names.PROXY_CONCURRENCY: ("concurrency", concurrency),
    names.ACCESS_LOG: ("access_log", switch),
    names.MODE: ("mode", lambda text: Mode(one_of(*Mode)(text))),
    names.CAPTURE: ("capture", switch),
    names.DISCOVERY: ("discovery", discovery),
}
"""Annotation of a Pod -> (field of Overrides, parser)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a Pod's own words ask for, what is wrong with them, and what is odd."""

    overrides: Overrides
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def read_pod_annotations(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Reading:
    """Read every `evenkeel.dev/*` label and annotation of a Pod.

    A bad value is a problem (the Pod is to be rejected); an unknown key or label value is a warning.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    warnings = [*label_warnings(labels, names.LABELS_ON_PODS, known_annotations=names.ANNOTATIONS_ON_PODS)]
    for key in sorted(ours(annotations)):
        text = annotations[key]
        if key not in POD:
            warnings += unknown_annotation(key, names.ANNOTATIONS_ON_PODS, written=names.WRITTEN)
            continue
        field, parse = POD[key]
        try:
            value = parse(text)
        except ValueError as error:
            problems.append(f"annotation {key}: found {shown(text)}; {error}")
            continue
        values[field] = value
    return Reading(Overrides(**values), tuple(problems), tuple(warnings))


@dataclass(frozen=True, slots=True)
class NamespaceWords:
    """What a Namespace says for all of its Pods; None is not said."""

    capture: bool | None = None
    discovery: DiscoveryMode | None = None


_SILENT: Final = NamespaceWords()
_NAMESPACE: Final[Mapping[str, tuple[str, _Parser]]] = {
    names.CAPTURE: ("capture", switch),
    names.DISCOVERY: ("discovery", discovery),
}


def namespace_words(annotations: Mapping[str, str]) -> tuple[NamespaceWords, tuple[str, ...]]:
    """Read the annotations of a Namespace: what they say, and what is wrong with them, which counts as not said."""
    if not annotations:
        return _SILENT, ()
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key in sorted(ours(annotations)):
        if key not in _NAMESPACE:
            problems += unknown_annotation(key, names.ANNOTATIONS_ON_NAMESPACES)
            continue
        field, parse = _NAMESPACE[key]
        try:
            values[field] = parse(annotations[key])
        except ValueError as error:
            problems.append(f"annotation {key}: found {shown(annotations[key])}, treated as not set; {error}")
    return NamespaceWords(**values), tuple(problems)


def ours(keys: Iterable[str]) -> list[str]:
    """Pick the keys under our domain, and those that look as if they were meant to be."""
    return [key for key in keys if key.startswith(f"{names.DOMAIN}/") or "evenkeel" in key.partition("/")[0]]


def unknown_annotation(key: str, known: Iterable[str], *, written: Iterable[str] = ()) -> list[str]:
    """Warn about an annotation nobody reads; those that we write ourselves are no mistake."""
    if key in written:
        return []
    if key in (names.INJECT, names.ENFORCE):
        return [f"annotation {key} is ignored: it is a label"]
    return [f"unknown annotation {shown(key)}{_nearest_key(key, known)}"]


def label_warnings(
    labels: Mapping[str, str], known: Iterable[str], *, known_annotations: Iterable[str] = ()
) -> list[str]:
    """Warn about labels of ours that are unknown, have another value, or should be annotations."""
    warnings = []
    for key in sorted(ours(labels)):
        if key in known_annotations:
            warnings.append(f"label {key} is ignored: it is an annotation")
        elif key == names.INJECTED:
            continue  # ours to write: a copy of a live Pod carries it
        elif key not in known:
            warnings.append(f"unknown label {shown(key)}{_nearest_key(key, known)}")
        elif labels[key] not in (names.ENABLED, names.DISABLED):
            warnings.append(
                f"label {key}: found {shown(labels[key])}, treated as not set; accepted: "
                f"{names.ENABLED}, {names.DISABLED}{nearest(labels[key], (names.ENABLED, names.DISABLED))}"
            )
    return warnings
