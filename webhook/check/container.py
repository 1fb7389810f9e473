"""How the webhook's container is started, as far as an operator's settings are concerned. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from webhook.core.model import JsonObject

ConfigMaps = Mapping[str, Mapping[str, str]]
"""ConfigMap by name -> its data."""


@dataclass(frozen=True, slots=True)
class Started:
    """What decides about a program's settings."""

    env: Mapping[str, str]
    arguments: Sequence[str]
    files: Mapping[str, str]
    """Path -> text, of every file that a ConfigMap puts into the container."""
    unread: tuple[str, ...] = ()
    """Variables whose value stands where it cannot be read, such as a Secret."""

    def option(self, name: str) -> str | None:
        """Give an option's value, written as `--name value` or `--name=value`."""
        for index, argument in enumerate(self.arguments):
            if argument == name and index + 1 < len(self.arguments):
                return self.arguments[index + 1]
            if argument.startswith(f"{name}="):
                return argument.partition("=")[2]
        return None


def config_maps_of(template: JsonObject) -> tuple[str, ...]:
    """Name every ConfigMap that a pod template's container is started with."""
    spec, container = template["spec"], _container(template)
    found = [_name(one.get("configMapRef")) for one in container.get("envFrom") or ()]
    found += [_name((one.get("valueFrom") or {}).get("configMapKeyRef")) for one in container.get("env") or ()]
    found += [_name(source) for volume in spec.get("volumes") or () for source in _sources(volume)]
    return tuple(sorted({name for name in found if name}))


def started(template: JsonObject, config_maps: ConfigMaps, namespace: str) -> Started:
    """Say how the container of a pod template is started."""
    container = _container(template)
    env: dict[str, str] = {}
    unread: list[str] = []
    for one in container.get("envFrom") or ():
        data = config_maps.get(_name(one.get("configMapRef")), {})
        env |= {f"{one.get('prefix') or ''}{key}": value for key, value in data.items()}
    for one in container.get("env") or ():
        value = _value(one, config_maps, namespace)
        if value is None:
            unread.append(one["name"])
        else:
            env[one["name"]] = value
    arguments = [*(container.get("command") or ()), *(container.get("args") or ())]
    return Started(env, arguments, dict(_files(template["spec"], container, config_maps)), tuple(unread))


def _container(template: JsonObject) -> JsonObject:
    containers: Sequence[JsonObject] = template["spec"]["containers"]
    serving = (one for one in containers if "serve" in (*(one.get("command") or ()), *(one.get("args") or ())))
    return next(serving, containers[0])


def _value(entry: JsonObject, config_maps: ConfigMaps, namespace: str) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return str(entry.get("value") or "")
    if reference := source.get("configMapKeyRef"):
        return config_maps.get(_name(reference), {}).get(str(reference.get("key")))
    field = (source.get("fieldRef") or {}).get("fieldPath")
    return namespace if field == "metadata.namespace" else None


def _name(reference: Any) -> str:
    return str((reference or {}).get("name") or "")


def _sources(volume: JsonObject) -> Iterator[JsonObject]:
    if volume.get("configMap"):
        yield volume["configMap"]
    for source in (volume.get("projected") or {}).get("sources") or ():
        if source.get("configMap"):
            yield source["configMap"]


def _files(spec: JsonObject, container: JsonObject, config_maps: ConfigMaps) -> Iterator[tuple[str, str]]:
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        held = dict(_held(volumes.get(mount["name"], {}), config_maps))
        part = mount.get("subPath")
        if part in held:
            yield mount["mountPath"], held[part]
        elif not part:
            yield from ((str(PurePosixPath(mount["mountPath"], name)), text) for name, text in held.items())


def _held(volume: JsonObject, config_maps: ConfigMaps) -> Iterator[tuple[str, str]]:
    for source in _sources(volume):
        data = config_maps.get(_name(source), {})
        items = source.get("items")
        names = {one["path"]: one["key"] for one in items} if items else {key: key for key in data}
        yield from ((path, data[key]) for path, key in names.items() if key in data)
