"""`evenkeel demo`: in a sandbox of its own namespaces, so that nothing of it is left whatever ends it."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from webhook.demo.admission import DemoError, Webhook
from webhook.demo.cluster import Cluster
from webhook.demo.control_plane import ControlPlane
from webhook.demo.images import images
from webhook.demo.picture import write_picture
from webhook.demo.scenario import Scenario
from webhook.demo.scenarios import play
from webhook.demo.screen import Screen
from webhook.demo.side_by_side import compare
from webhook.demo.tokens import Tokens
from webhook.node.errors import NodeError
from webhook.node.node import Node
from webhook.node.sandbox import inside

_DNS_TTL: Final = 30
_INTERRUPTED: Final = 130


def run_demo(*, as_json: bool = False, picture: Path | None = None) -> int:
    """Run the demo and give its exit code: 0 done, 1 something did not work, 2 this machine cannot run it.

    Shows progress on standard output, or, with `as_json`, on standard error, and then one JSON document.
    """
    arguments = [*(("--json",) if as_json else ()), *(("--picture", str(picture.absolute())) if picture else ())]
    with tempfile.TemporaryDirectory(prefix="evenkeel-demo-") as folder:
        command = [sys.executable, "-m", "webhook.demo.main", "--folder", folder, *arguments]
        if not inside():
            command = [sys.executable, "-m", "webhook.node.sandbox", "--", *command]
        # In a session of its own a Ctrl-C reaches only this process, which passes it on once.
        process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 our own program
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))
        return process.wait()


async def demo(folder: Path, *, as_json: bool, picture: Path | None) -> list[Scenario]:
    """Run every scenario inside the sandbox; raises DemoError or NodeError where a part does not work.

    `folder` is an empty one for everything that is written.
    """
    screen = Screen(sys.stderr if as_json else sys.stdout)
    scenarios: list[Scenario] = []

    def show(scenario: Scenario) -> None:
        scenarios.append(scenario)
        screen.show(scenario)

    screen.step("starting the webhook over HTTPS and the control plane of endpoints, with a certificate of their own")
    pods, tokens = folder / "pods", Tokens()
    pods.mkdir()
    with (folder / "control-plane.log").open("w") as log:
        # Standard output is for the numbers.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        async with (
            Webhook(folder) as webhook,
            Node(images=images(folder), folder=pods, dns_ttl=_DNS_TTL, tokens=tokens.of_pods) as node,
            ControlPlane(node, webhook.certificate, tokens) as control_plane,
        ):
            await play(Cluster(node, webhook, control_plane), screen.step, show)
            screen.step("stopping the control plane and the webhook")
    if picture is not None:
        write_picture(scenarios, picture)
        screen.drew(picture)
    screen.end(scenarios)
    return scenarios


def main(arguments: Sequence[str]) -> int:
    """Run the demo in this process, which is inside the sandbox."""
    parser = argparse.ArgumentParser(prog="evenkeel demo")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        scenarios = asyncio.run(_until_signalled(options))
    except (DemoError, NodeError, TimeoutError, OSError) as error:
        print(f"evenkeel: the demo stopped: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("evenkeel: interrupted; the Pods are stopped and nothing is left behind", file=sys.stderr)
        return _INTERRUPTED
    if options.json:
        print(json.dumps(_document(scenarios), indent=2))
    return 0


def _document(scenarios: Sequence[Scenario]) -> dict[str, Any]:
    return {
        "scenarios": [scenario.document() for scenario in scenarios],
        "side_by_side": [comparison.document() for comparison in compare(scenarios)],
    }


async def _until_signalled(options: argparse.Namespace) -> list[Scenario]:
    """Run it so that a signal ends it in order, also where the shell that started it has SIGINT ignored."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: task.cancel() if task else None)
    return await demo(options.folder, as_json=options.json, picture=options.picture)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
