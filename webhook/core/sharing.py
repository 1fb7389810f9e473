"""Equal parts of a document made one object, so that whoever writes it as text writes them once."""

from __future__ import annotations

from typing import Any

from webhook.core.model import Json


def share(document: Json) -> Json:
    """Give a document equal to this one, in which equal objects and equal lists are the same object.

    The document is not changed; the result must not be either.
    """
    return _Sharing().of(document)


class _Sharing:
    """Remembers every part of one document by its content."""

    def __init__(self) -> None:
        self._by_content: dict[Any, Any] = {}
        # Parts that the input already shares are looked at once; it keeps them alive meanwhile.
        self._by_identity: dict[int, Any] = {}

    def of(self, node: Json) -> Json:
        """Give the one object for this part."""
        if not isinstance(node, dict | list) or not node:
            return node
        known = self._by_identity.get(id(node))
        if known is None:
            known = self._by_identity[id(node)] = self._made(node)
        return known

    def _made(self, node: Any) -> Any:
        if isinstance(node, dict):
            made: Any = {key: self.of(value) for key, value in node.items()}
            content: Any = (dict, *((key, _content(value)) for key, value in made.items()))
        else:
            made = [self.of(value) for value in node]
            content = (list, *map(_content, made))
        return self._by_content.setdefault(content, made)


def _content(value: Json) -> Any:
    """Give what makes a value equal to another: of a part that is shared already, its identity."""
    if isinstance(value, dict | list) and value:
        return id(value)
    return type(value), repr(value) if isinstance(value, dict | list) else value
