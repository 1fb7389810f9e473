"""A client without a sidecar as Python applications are: `proxyless.py TARGET ...` calls until it is ended.

Ten times a second it prints a line for each target: when, who answered how many calls, and which errors there were.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from threading import Thread
from typing import Any, Final

import grpc

METHOD: Final = "/echo.EchoServer/SayHello"
INTERVAL: Final = 0.005
DEADLINE: Final = 5.0
TELL: Final = 0.1


def call(target: str) -> None:
    """Call one target over one connection, for ever."""
    with grpc.insecure_channel(target) as channel:
        ask = channel.unary_unary(METHOD)
        while True:
            print(json.dumps(tally(target, ask)), flush=True)


def tally(target: str, ask: Any) -> dict[str, Any]:
    """Make the calls of one line."""
    answers: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    end = time.monotonic() + TELL
    while time.monotonic() < end:
        try:
            answers[json.loads(ask(b"", timeout=DEADLINE))["address"]] += 1
        except grpc.RpcError as error:
            errors[f"{error.code().name}: {error.details()}"] += 1
        time.sleep(INTERVAL)
    return {"at": time.time(), "target": target, "answers": answers, "errors": errors}


def main() -> None:
    """Call every target at a time."""
    for target in sys.argv[1:]:
        Thread(target=call, args=(target,)).start()


if __name__ == "__main__":
    main()
