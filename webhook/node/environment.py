"""A container's environment and command line, by the rules of the kubelet."""

import re
from collections.abc import Mapping
from typing import Any, Final

from webhook.node.errors import ContainerError
from webhook.node.fields import PodView
from webhook.node.image import Image
from webhook.node.store import Store

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REFERENCE: Final = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of `$(NAME)`; `$$` is a dollar, and an unknown name stays as it is written."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] else values.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


def command_line(container: Mapping[str, Any], image: Image, env: Mapping[str, str]) -> tuple[str, ...]:
    """Say what to run: `command` replaces the image's entrypoint and its cmd, `args` replace the cmd."""
    command, args = container.get("command") or (), container.get("args") or ()
    words = (*command, *args) if command else (*image.entrypoint, *(args or image.cmd))
    if not words:
        raise ContainerError("CreateContainerError", f"image {container['image']!r} has no command and none is given")
    # What the image says is not expanded; what the Pod says is.
    own = 0 if command else len(image.entrypoint) if args else len(words)
    return (*words[:own], *(expand(word, env) for word in words[own:]))


def environment(container: Mapping[str, Any], image: Image, pod: PodView, store: Store) -> dict[str, str]:
    """Build the environment; ContainerError (CreateContainerConfigError) names what is missing."""
    given: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        given |= _from_source(source, pod, store)
    for variable in container.get("env") or ():
        value = _value(variable, container, pod, store, given)
        if value is not None:
            given[variable["name"]] = value
    return {"PATH": _PATH, "HOSTNAME": pod.hostname, "HOME": "/", **image.env, **given}


def _from_source(source: Mapping[str, Any], pod: PodView, store: Store) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
        if reference := source.get(field):
            optional = bool(reference.get("optional"))
            found = dict(store.find(kind, pod.namespace, reference["name"], optional=optional) or {})
    prefix = source.get("prefix") or ""
    # A key that is no name for a variable is skipped, as the kubelet does with an Event.
    return {prefix + key: value for key, value in found.items() if _NAME.fullmatch(prefix + key)}


def _value(
    variable: Mapping[str, Any], container: Mapping[str, Any], pod: PodView, store: Store, given: Mapping[str, str]
) -> str | None:
    source: Mapping[str, Any] = variable.get("valueFrom") or {}
    for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        if reference := source.get(field):
            return _key_of(kind, reference, pod, store)
    if reference := source.get("fieldRef"):
        return pod.field(reference["fieldPath"])
    if reference := source.get("resourceFieldRef"):
        return pod.resource({"containerName": container["name"], **reference})
    return expand(variable.get("value") or "", given)


def _key_of(kind: str, reference: Mapping[str, Any], pod: PodView, store: Store) -> str | None:
    optional = bool(reference.get("optional"))
    data = store.find(kind, pod.namespace, reference["name"], optional=optional)
    if data is None or (reference["key"] not in data and optional):
        return None
    if reference["key"] not in data:
        name = f"{pod.namespace}/{reference['name']}"
        keys = ", ".join(sorted(data)) or "none"
        raise ContainerError(
            "CreateContainerConfigError", f"{kind} {name} has no key {reference['key']!r}; it has {keys}"
        )
    return data[reference["key"]]
