"""What client containers run in Python beside the clients of tests/apps: plain TCP, HTTP/1.1 and gRPC over TLS."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from webhook.node.pod import Pod

_TCP: Final = """
import json, pathlib, socket, sys, time
host, port, first, wait = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "server", sys.argv[4]
with socket.create_connection((host, port), timeout=10) as talk:
    lines, began, peer = talk.makefile("rb"), time.monotonic(), talk.getpeername()[0]
    said = [lines.readline().decode()] if first else []
    seconds = time.monotonic() - began
    for word in ("one", "two"):
        talk.sendall(word.encode() + b"\\n")
        said.append(lines.readline().decode())
        while wait and not pathlib.Path(wait).exists():
            time.sleep(0.1)
    assert all(said), said
    talk.shutdown(socket.SHUT_WR)
    said.append(lines.readline().decode())
    print(json.dumps({"said": [line.strip() for line in said], "seconds": seconds, "peer": peer}))
"""
"""Says two words and that these were all, and reads what comes back; with a file's name, waits for it after each."""

_HTTP: Final = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""

_TLS: Final = """
import sys, grpc
credentials = grpc.ssl_channel_credentials(open("/app/ca.crt", "rb").read())
with grpc.secure_channel(sys.argv[1], credentials) as channel:
    print(channel.unary_unary("/echo.EchoServer/SayHello")(b"", timeout=10).decode())
"""


async def tcp(pod: Pod, host: str, port: int, *, first: str, wait: str = "") -> dict[str, Any]:
    """Talk to a server; `first` says who speaks first, `wait` which file's appearance ends a silence."""
    return await run(pod, _TCP, host, str(port), first, wait)


async def http(pod: Pod, url: str) -> dict[str, Any]:
    """Get a document over HTTP/1.1."""
    return await run(pod, _HTTP, url)


async def tls(pod: Pod, target: str) -> dict[str, Any]:
    """Make one gRPC call over TLS; the server's certificate must be for the name that is dialled."""
    return await run(pod, _TLS, target)


async def run(pod: Pod, program: str, *arguments: str) -> dict[str, Any]:
    """Run a program in the Pod's container `python` and give the document that it prints."""
    code, output = await pod.execute("python", [sys.executable, "-c", program, *arguments])
    assert code == 0, output
    document: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return document


async def call(pod: Pod, language: str, *targets: str, rpcs: int = 30, deadline: float = 10) -> dict[str, Any]:
    """Make calls to each target over one connection, by the client in a language; give its tallies by target."""
    words = ["/app/app", *(["client"] if language == "go" else []), "--rpcs", str(rpcs), "--deadline", str(deadline)]
    code, output = await pod.execute(language, [*words, *targets])
    assert code == 0, output
    document: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return document
