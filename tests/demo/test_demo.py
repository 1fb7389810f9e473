"""`evenkeel demo` as a person runs it: what it prints, what it shows, and that nothing of it is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.demo

EVENKEEL = [sys.executable, "-m", "webhook"]
NAMES = (
    "without-sidecar",
    "with-sidecar-5",
    "scale-5-to-10",
    "with-sidecar-10",
    "scale-10-to-5",
    "with-sidecar-5-again",
    "rolling-replacement",
    "service-after-client",
    "ticketing",
    "frontend-be1",
    "frontend-be2",
)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Where the picture goes."""
    return tmp_path_factory.mktemp("picture") / "spread.svg"


@pytest.fixture(scope="module")
def scenarios(picture):
    """Run the whole demo once; standard output is one JSON document and nothing else."""
    run = subprocess.run([*EVENKEEL, "demo", "--json", "--picture", picture], stdout=subprocess.PIPE, check=True)
    return {scenario["name"]: scenario for scenario in json.loads(run.stdout)["scenarios"]}


def test_every_phase_is_a_scenario_in_order(scenarios):
    """With the keys that were promised."""
    keys = {"name", "injected", "rpcs", "failed", "backends", "steady"}

    assert tuple(scenarios) == NAMES
    assert all(keys <= set(scenario) for scenario in scenarios.values())


def test_every_rpc_is_answered_by_a_backend_or_counted_as_failed(scenarios):
    """None is dropped."""
    for scenario in scenarios.values():
        assert sum(scenario["backends"].values()) + scenario["failed"] == scenario["rpcs"], scenario


def test_four_callers_without_a_sidecar_reach_at_most_four_of_ten_servers(scenarios):
    """Each connection stays where it is."""
    bare = scenarios["without-sidecar"]

    assert bare["injected"] is False
    assert len(bare["backends"]) == 10
    assert sum(1 for count in bare["backends"].values() if count) <= 4


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("with-", "ticketing", "frontend"))])
def test_steady_phases_with_sidecars_are_even_and_lose_nothing(scenarios, name):
    """The busiest backend gets at most 2 % more than the idlest."""
    steady = scenarios[name]
    counts = steady["backends"].values()

    assert (steady["steady"], steady["injected"], steady["failed"]) == (True, True, 0)
    assert max(counts) <= 1.02 * min(counts)


@pytest.mark.parametrize("name", ["scale-5-to-10", "rolling-replacement"])
def test_new_servers_are_found_and_nothing_is_lost_meanwhile(scenarios, name):
    """Under load."""
    change = scenarios[name]

    assert change["failed"] == 0
    assert len([count for count in change["backends"].values() if count]) == 10
    assert change["seconds_to_new_backend"] >= 0


def test_a_service_after_its_client_is_reached(scenarios):
    """Calls fail until then, with a message that says why, and are answered afterwards."""
    late = scenarios["service-after-client"]

    assert late["failed"] > 0
    assert any("no upstream; none is known here" in error for error in late["errors"])
    assert all(late["backends"].values())


def test_the_picture_shows_every_backend_before_and_after(scenarios, picture):
    """As text that can be read aloud, with one bar each."""
    svg = ET.fromstring(picture.read_text())
    texts = {node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")}
    shown = [*scenarios["without-sidecar"]["backends"], *scenarios["with-sidecar-10"]["backends"]]

    assert set(shown) <= texts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(number, tmp_path):
    """No process and no file, soon after the signal."""
    run = subprocess.Popen([*EVENKEEL, "demo"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_in(tmp_path))
    while not _processes(tmp_path):
        time.sleep(0.1)
    time.sleep(4)
    run.send_signal(number)
    _, said = run.communicate(timeout=30)

    assert run.returncode == 130
    assert b"interrupted" in said
    assert _processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def _in(folder):
    return {**os.environ, "TMPDIR": str(folder)}


def _processes(folder):
    """Give the processes whose command line names the demo's own folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if str(folder).encode() in line:
            found.append(entry.name)
    return found
