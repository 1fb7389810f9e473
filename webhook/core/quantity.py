"""Kubernetes quantities, exactly (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)."""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_FORM: Final = re.compile(r"\+?(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2})?", re.ASCII)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_LARGEST: Final = Decimal(2**63 - 1)


@lru_cache(maxsize=1024)  # Pods use few; what is no quantity raises and is not kept
def quantity(text: str) -> Decimal:
    """Read a quantity such as `250m`, `512Mi` or `1e3`.

    Returns the exact value in base units (cores, bytes).
    Raises ValueError with a sentence if it is none, or is larger than Kubernetes can hold.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("accepted: a Kubernetes quantity such as 250m, 2 or 512Mi")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY:
        value = number * Decimal(1024 ** _BINARY[suffix])
    elif suffix in _DECIMAL:
        value = number.scaleb(_DECIMAL[suffix])
    else:
        value = number.scaleb(int(suffix[1:]))
    if value > _LARGEST:
        raise ValueError(f"accepted: at most {_LARGEST}")
    return value


def same(one: object, other: object) -> bool:
    """Say whether two quantities as manifests write them (text or number) are equal; a bad one never is."""
    try:
        return quantity(str(one)) == quantity(str(other))
    except ValueError:
        return False


def positive(value: object) -> bool:
    """Say whether this is a quantity above zero."""
    try:
        return quantity(str(value)) > 0
    except ValueError:
        return False
