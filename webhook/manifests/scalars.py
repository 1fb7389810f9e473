"""What a plain (unquoted) scalar means to Kubernetes.

kubectl and the API server read YAML with sigs.k8s.io/yaml, whose rules are neither PyYAML's nor YAML 1.2's:
`yes`, `on` and `y` are booleans, `0o17`, `017` and `0x0f` are 15, `1e3` is a number, a date is a text and
`12:30:45` is one too. The same text must mean the same here, or a value would change on its way through.
"""

from __future__ import annotations

import math
import re
from typing import Final

TAG: Final = "tag:yaml.org,2002:"
STR: Final = f"{TAG}str"
INT: Final = f"{TAG}int"
FLOAT: Final = f"{TAG}float"
BOOL: Final = f"{TAG}bool"
NULL: Final = f"{TAG}null"
MERGE: Final = f"{TAG}merge"
TIMESTAMP: Final = f"{TAG}timestamp"

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, tuple[str, Scalar]]] = {
    **{spelt: (BOOL, True) for word in ("y", "yes", "true", "on") for spelt in (word, word.title(), word.upper())},
    **{spelt: (BOOL, False) for word in ("n", "no", "false", "off") for spelt in (word, word.title(), word.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, math.nan)),
    **{f"{sign}{word}": (FLOAT, math.inf) for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (FLOAT, -math.inf)),
    "<<": (MERGE, "<<"),
}
_INT: Final = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_EXACT: Final = 2**53


def resolve(text: str) -> tuple[str, Scalar]:
    """Give the tag and the value of a plain scalar; what is nothing else is a text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return STR, text
    digits = text if text[0] == "." else text.replace("_", "")
    if _INT.fullmatch(digits) and _LEAST <= (number := _integer(digits)) <= _MOST:
        return INT, number
    if _FLOAT.fullmatch(digits) and math.isfinite(float(digits)):
        return FLOAT, as_json_number(float(digits))
    return STR, text


def as_json_number(number: float) -> float | int:
    """Give a number as the API server sees it after JSON, where 3.0 is 3."""
    return int(number) if math.isfinite(number) and number.is_integer() and abs(number) < _EXACT else number


def key_text(value: Scalar) -> str | None:
    """Give the text that a scalar key becomes in JSON, None where it can be no key."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _integer(digits: str) -> int:
    sign = -1 if digits[0] == "-" else 1
    bare = digits.lstrip("+-").lower()
    # A leading zero alone means octal, which Python's own base 0 refuses.
    octal = len(bare) > 1 and bare[0] == "0" and bare[1].isdigit()
    return sign * (int(bare, 8) if octal else int(bare, 0))
