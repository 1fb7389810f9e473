"""One document's text to the value that Kubernetes would see, or everything that is wrong with it."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import yaml

from webhook.manifests import scalars
from webhook.manifests.faults import Fault, from_yaml, template_hint
from webhook.manifests.split import BOM, body_start

_MAP, _SEQ = f"{scalars.TAG}map", f"{scalars.TAG}seq"
_DEEPEST: Final = 200
_MOST_REPEATED: Final = 100_000
"""Values that aliases may add to a document: a harmless one stays far below."""


class _Loader(yaml.CSafeLoader):
    """Composes nodes; plain scalars get the tags that Kubernetes would give them."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Give the tag of a node that names none."""
        if kind is yaml.ScalarNode:
            return scalars.resolve(value)[0] if implicit[0] else scalars.STR
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


class NotParsed(Exception):
    """A document's text cannot be read; carries every fault found."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def parse(text: str) -> Any:
    """Give the value of a document's text, None where it is empty; no two parts of it are shared.

    Raises NotParsed with every fault, or with the first one where the text is no YAML at all.
    """
    body = _body(text)
    node = None if body.startswith("{") and _is_plain_json(body) else compose(text)
    if node is None:
        return _from_json(body) if body.startswith("{") else None
    return _Builder(text).build(node)


def _body(text: str) -> str:
    return text[body_start(text) :].lstrip(f" \t\r\n{BOM}")


def compose(text: str) -> yaml.Node | None:
    """Give the node tree of a document's text, with its places (a BOM has none); None where it is empty.

    Raises NotParsed if it is no YAML.
    """
    loader = _Loader(text.removeprefix(BOM))
    try:
        return loader.get_single_node()
    except yaml.YAMLError as error:
        raise NotParsed([from_yaml(error, text)]) from error
    finally:
        loader.dispose()


def is_json(text: str) -> bool:
    """Say whether a document is written as one JSON object."""
    body = _body(text)
    if not body.startswith("{"):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


class _Unsure(ValueError):
    """JSON that the YAML reader shall look at, since it knows lines."""


def _is_plain_json(body: str) -> bool:
    try:
        _from_json(body)
    except (ValueError, RecursionError):
        return False
    return True


def _from_json(body: str) -> Any:
    value = json.loads(body, object_pairs_hook=_object, parse_float=_number, parse_constant=_constant)
    if _depth(value) > _DEEPEST:
        raise _Unsure
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Unsure
    return value


def _number(text: str) -> float | int:
    number = scalars.as_json_number(float(text))
    if not math.isfinite(number):
        raise _Unsure
    return number


def _constant(_: str) -> Any:
    raise _Unsure


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return depth


class _Builder:
    """Turns nodes into plain values, counting what aliases multiply and collecting faults."""

    def __init__(self, text: str) -> None:
        self._hint = template_hint(text)
        self._faults: dict[Fault, None] = {}
        self._seen: set[int] = set()
        self._repeated = 0

    def build(self, node: yaml.Node) -> Any:
        value = self._value(node, 1)
        if self._faults:
            raise NotParsed(list(self._faults))
        return value

    def _fault(self, node: yaml.Node, found: str, expected: str) -> None:
        self._faults[Fault(node.start_mark.line, found, expected)] = None

    def _value(self, node: yaml.Node, depth: int) -> Any:
        self._count(node)
        if depth > _DEEPEST:
            self._fault(node, f"nesting deeper than {_DEEPEST}, or an anchor inside itself", "a shallower document")
            raise NotParsed(list(self._faults))
        if isinstance(node, yaml.MappingNode):
            self._expect(node, _MAP)
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            self._expect(node, _SEQ)
            return [self._value(child, depth + 1) for child in node.value]
        return self._scalar(node)

    def _count(self, node: yaml.Node) -> None:
        """Bound what aliases add: a small text must not become a large value."""
        self._repeated += id(node) in self._seen
        self._seen.add(id(node))
        if self._repeated > _MOST_REPEATED:
            self._fault(node, f"aliases that repeat more than {_MOST_REPEATED} values", "fewer aliases")
            raise NotParsed(list(self._faults))

    def _expect(self, node: yaml.Node, tag: str) -> None:
        if node.tag != tag:
            self._fault(node, f"the tag {_shown(node.tag)}", "no tag")

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == scalars.MERGE:
                for key, value in self._merge(value_node, depth).items():
                    merged.setdefault(key, value)
                continue
            name = self._key(key_node)
            value = self._value(value_node, depth + 1)
            if name is None:
                continue
            if name in own:
                self._duplicate(key_node, name, lines[name])
            own[name] = value
            lines.setdefault(name, key_node.start_mark.line)
        return {**merged, **own}

    def _duplicate(self, node: yaml.Node, name: str, first: int) -> None:
        above = node.start_mark.line - first
        where = f"{above} line{'' if above == 1 else 's'} above" if above else "on the same line"
        self._fault(node, f"the key {_shown(name)} again, first {where}", "every key once")

    def _merge(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(source, yaml.MappingNode):
                self._fault(source, "a merge key `<<` with something else", "a mapping or a list of mappings")
                continue
            for key, value in self._value(source, depth + 1).items():
                merged.setdefault(key, value)
        return merged

    def _key(self, node: yaml.Node) -> str | None:
        name = scalars.key_text(self._scalar(node)) if isinstance(node, yaml.ScalarNode) else None
        if name is None:
            kind = "nothing" if isinstance(node, yaml.ScalarNode) else "a mapping or a list"
            self._fault(node, f"{kind} as a key", f"a text{self._hint}")
        return name

    def _scalar(self, node: yaml.Node) -> scalars.Scalar:
        text = node.value
        if node.tag in (scalars.STR, scalars.TIMESTAMP, scalars.MERGE):
            return str(text)
        tag, value = scalars.resolve(text)
        if node.tag not in (scalars.INT, scalars.FLOAT, scalars.BOOL, scalars.NULL):
            self._fault(node, f"the tag {_shown(node.tag)}", "no tag")
        elif node.tag != tag and not (node.tag == scalars.FLOAT and tag == scalars.INT):
            self._fault(node, f"{_shown(text)} with the tag {_shown(node.tag)}", "a value that fits its tag")
        elif isinstance(value, float) and not math.isfinite(value):
            self._fault(node, f"the number {_shown(text)}", "a number that JSON can carry, or quotes around it")
        return value


def _shown(text: str) -> str:
    short = text.replace(scalars.TAG, "!!")
    return repr(short if len(short) <= 60 else f"{short[:60]}...")  # noqa: PLR2004
