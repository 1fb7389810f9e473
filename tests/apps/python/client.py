"""A gRPC client as Python applications are: `client.py [--rpcs N] [--deadline SECONDS] [--authority NAME] TARGET ...`.

It makes its calls to each target over one connection and prints, by target, who answered how many and which errors
there were. Messages are bytes, so that no generated code is needed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any, Final

import grpc

METHOD: Final = "/echo.EchoServer/SayHello"


def call(target: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Make the calls to one target."""
    backends: Counter[str] = Counter()
    pods: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    options = [("grpc.default_authority", asked.authority)] if asked.authority else []
    with grpc.insecure_channel(target, options=options) as channel:
        ask = channel.unary_unary(METHOD)
        for _ in range(asked.rpcs):
            try:
                who = json.loads(ask(b"", timeout=asked.deadline))
            except grpc.RpcError as error:
                errors[f"{error.code().name}: {error.details()}"] += 1
            else:
                backends[who["address"]] += 1
                pods[who["pod"]] += 1
    return {"backends": backends, "pods": pods, "failed": errors.total(), "errors": errors}


def main() -> None:
    """Call every target in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rpcs", type=int, default=100)
    parser.add_argument("--deadline", type=float, default=10.0)
    parser.add_argument("--authority")
    parser.add_argument("targets", nargs="+")
    asked = parser.parse_args()
    print(json.dumps({target: call(target, asked) for target in asked.targets}))


if __name__ == "__main__":
    main()
