"""What people write on Services. A bad value is left out and reported: it is never a Pod's fault."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from webhook.core import names
from webhook.core.annotations import LABEL, nearest, one_of, ours, port, shown, switch, unknown_annotation
from webhook.core.model import LbPolicy, Policy, Problem, Retry

_GRPC_SERVICE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
_SECONDS: Final = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_LONGEST: Final = Decimal(31_536_000)
_MOST: Final = 200
_LONGEST_NAME: Final = 200


def duration(text: str) -> str:
    """Read a duration such as `2s`, `500ms` or `1h30m` and give it in protobuf's form (`5400s`)."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("accepted: a duration such as 2s, 500ms or 1h30m")
    total = sum((Decimal(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))
    if not Decimal("0.001") <= total <= _LONGEST:
        raise ValueError("accepted: from 1ms to one year")
    return f"{total.quantize(Decimal('0.001')).normalize():f}s"


def _each(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > _MOST:
        raise ValueError(f"accepted: at most {_MOST} names, found {len(parts)}")
    return parts


def grpc_services(text: str) -> tuple[str, ...]:
    """Read `pkg.Service, ...`; each once, sorted."""
    parts = _each(text)
    for part in parts:
        if len(part) > _LONGEST_NAME or _GRPC_SERVICE.fullmatch(part) is None:
            raise ValueError(f"{shown(part)} is no gRPC service; accepted: pkg.Service, ...")
    return tuple(sorted(set(parts)))


def export_to(text: str) -> frozenset[str]:
    """Read `*` or a list of namespaces."""
    parts = _each(text)
    for part in parts:
        if part != "*" and LABEL.fullmatch(part) is None:
            raise ValueError(f"{shown(part)} is no namespace; accepted: * or namespaces, comma separated")
    return frozenset(parts)


def upstream(text: str) -> bool | tuple[str, ...]:
    """Read `enabled`, `disabled` or ports by name or number; whether the ports exist is not known here."""
    if text in (names.ENABLED, names.DISABLED):
        return text == names.ENABLED
    parts = _each(text)
    for part in parts:
        if part.isdigit():
            port(part)
        elif LABEL.fullmatch(part) is None:
            close = nearest(part, (names.ENABLED, names.DISABLED))
            raise ValueError(f"accepted: enabled, disabled, or ports by name or number{close}")
    return tuple(parts)


SERVICE: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    names.UPSTREAM: ("upstream", upstream),
    names.GRPC_SERVICES: ("grpc_services", grpc_services),
    names.EXPORT_TO: ("export_to", export_to),
    names.LB_POLICY: ("lb_policy", lambda text: LbPolicy(one_of(*LbPolicy)(text))),
    names.RETRY: ("retry", lambda text: Retry(one_of(*Retry)(text))),
    names.MAX_TIMEOUT: ("max_timeout", duration),
    names.CAPTURE: ("capture", switch),
    names.HEALTH_CHECK: ("health_check", lambda text: one_of("grpc", "off")(text) == "grpc"),
}
"""Annotation of a Service -> (field of ServiceWords, parser)."""


@dataclass(frozen=True, slots=True)
class ServiceWords:
    """What a Service's annotations say."""

    upstream: bool | tuple[str, ...] | None = None
    """True: all its ports; False: none; else these ports; None: not said."""
    grpc_services: tuple[str, ...] = ()
    export_to: frozenset[str] = frozenset()
    lb_policy: LbPolicy = LbPolicy.ROUND_ROBIN
    retry: Retry = Retry.DEFAULT
    max_timeout: str | None = None
    health_check: bool = False
    capture: bool | None = None
    problems: tuple[Problem, ...] = field(default=())

    @property
    def policy(self) -> Policy:
        """Give what concerns the calls."""
        return Policy(self.lb_policy, self.retry, self.max_timeout, self.health_check)


def read_service_annotations(annotations: Mapping[str, str], where: str) -> ServiceWords:
    """Read every `evenkeel.dev/*` annotation of a Service; `where` names it in problems."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key in sorted(ours(annotations)):
        if key not in SERVICE:
            unknown = unknown_annotation(key, names.ANNOTATIONS_ON_SERVICES)
            problems += [Problem("unknown-annotation", where, text) for text in unknown]
            continue
        name, parse = SERVICE[key]
        try:
            values[name] = parse(annotations[key])
        except ValueError as error:
            message = f"annotation {key}: found {shown(annotations[key])}, left out; {error}"
            problems.append(Problem("bad-annotation", where, message))
    return ServiceWords(**values, problems=tuple(problems))
