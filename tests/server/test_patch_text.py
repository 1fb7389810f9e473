"""A patch in base64 is the same whether its parts are encoded at once or one by one."""

from base64 import b64decode

import orjson
import pytest

from webhook.server.patch_text import encode_patch

TEXTS = ("", "a", "ab", "abc", "äöü", '"\\\n', "x" * 10_000)


@pytest.mark.parametrize("count", range(4))
def test_operations_come_back_as_they_were(count):
    """However many there are."""
    operations = [{"op": "add", "path": f"/metadata/annotations/{n}", "value": text} for n, text in enumerate(TEXTS)]

    assert orjson.loads(b64decode(encode_patch(operations[:count]), validate=True)) == operations[:count]


def test_objects_and_lists_stand_among_texts():
    """A container, a volume, an empty list."""
    operations = [
        {"op": "add", "path": "/spec/initContainers", "value": []},
        *({"op": "replace", "path": "/metadata/labels/a", "value": text} for text in TEXTS),
        {"op": "add", "path": "/spec/initContainers/0", "value": {"name": "proxy", "args": ["a", 1, None, True]}},
    ]

    for _ in range(2):
        assert orjson.loads(b64decode(encode_patch(operations), validate=True)) == operations


def test_the_same_text_elsewhere_is_another_part():
    """What is kept is kept by operation, place and text, and by whether it comes first."""
    one, other = ({"op": "add", "path": f"/{path}", "value": "same"} for path in "ab")

    for operations in ([one, other], [other, one], [one], [{**one, "op": "replace"}]):
        assert orjson.loads(b64decode(encode_patch(operations), validate=True)) == operations
