"""The downward API: what a Pod may say about itself in variables and files."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from webhook.node.errors import ContainerError

_SUFFIXES: Final = {
    **{letter + "i": 1024**power for power, letter in enumerate("KMGTPE", start=1)},
    **{letter: 1000**power for power, letter in enumerate("kMGTPE", start=1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}
_KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_ESCAPES: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PodView:
    """A Pod's document and the few facts that only its node knows."""

    document: Mapping[str, Any]
    address: str
    host_address: str
    node_name: str

    @property
    def namespace(self) -> str:
        """The Pod's namespace."""
        return str(self.document["metadata"]["namespace"])

    @property
    def hostname(self) -> str:
        """What the Pod calls itself: `spec.hostname`, else its name, at most 63 characters."""
        name = self.document["spec"].get("hostname") or self.document["metadata"]["name"]
        return str(name)[:63].rstrip("-.")

    def field(self, path: str) -> str:
        """Give the value of a `fieldRef`; ContainerError names a path that the kubelet would not know."""
        metadata, spec = self.document["metadata"], self.document["spec"]
        if keyed := _KEYED.fullmatch(path):
            return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
        if path in {"metadata.labels", "metadata.annotations"}:
            return format_map(metadata.get(path.partition(".")[2]) or {})
        plain = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": self.node_name,
            "spec.serviceAccountName": spec.get("serviceAccountName") or "default",
            "status.hostIP": self.host_address,
            "status.hostIPs": self.host_address,
            "status.podIP": self.address,
            "status.podIPs": self.address,
        }
        if path not in plain:
            raise ContainerError(
                "CreateContainerConfigError", f"fieldRef {path!r} is not known; known: {sorted(plain)}"
            )
        return str(plain[path])

    def resource(self, reference: Mapping[str, Any]) -> str:
        """Give the value of a `resourceFieldRef`, rounded up to whole divisors."""
        section, _, name = str(reference["resource"]).partition(".")
        resources = self._container(str(reference.get("containerName"))).get("resources") or {}
        limit = (resources.get("limits") or {}).get(name)
        found = limit if section == "limits" else (resources.get("requests") or {}).get(name, limit)
        # Without a limit the machine is the limit; without a request nothing is asked for.
        value = quantity(found) if found is not None else _capacity(name) if section == "limits" else Decimal(0)
        return str(math.ceil(value / (quantity(reference.get("divisor") or "1") or 1)))

    def _container(self, name: str) -> Mapping[str, Any]:
        spec = self.document["spec"]
        for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
            if container["name"] == name:
                return dict(container)
        raise ContainerError("CreateContainerConfigError", f"resourceFieldRef: there is no container {name!r}")


def quantity(text: object) -> Decimal:
    """Read a Kubernetes quantity such as `500m` or `64Mi`; ContainerError if it is none."""
    match = re.fullmatch(r"([-+.0-9]+(?:[eE][-+]?[0-9]+)?)([A-Za-z]*)", str(text))
    try:
        if match and (not match[2] or match[2] in _SUFFIXES):
            return Decimal(match[1]) * Decimal(_SUFFIXES.get(match[2], 1))
    except InvalidOperation:
        pass
    raise ContainerError("CreateContainerConfigError", f"{text!r} is no quantity, such as 500m or 64Mi")


def format_map(values: Mapping[str, str]) -> str:
    """Write labels or annotations as the kubelet does: sorted lines of `key="value"`, escaped as in Go."""
    return "\n".join(f'{key}="{_escape(value)}"' for key, value in sorted(values.items()))


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(char) or (char if char.isprintable() else _code_point(char)) for char in text)


def _code_point(char: str) -> str:
    number = ord(char)
    if number < 0x80:  # noqa: PLR2004  # one byte
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004  # two bytes


def _capacity(name: str) -> Decimal:
    if name == "cpu":
        return Decimal(os.cpu_count() or 1)
    return Decimal(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if name == "memory" else Decimal(0)
