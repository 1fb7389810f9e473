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
LOCALHOST = (
    "without-sidecar",
    "with-sidecar-5",
    "scale-5-to-10",
    "scale-5-to-10-xds",
    "with-sidecar-10",
    "with-sidecar-10-xds",
    "scale-10-to-5",
    "scale-10-to-5-xds",
    "with-sidecar-5-again",
    "with-sidecar-5-again-xds",
    "rolling-replacement",
    "rolling-replacement-xds",
    "all-replaced",
    "all-replaced-xds",
    "service-after-client",
    "ticketing",
    "frontend-be1",
    "frontend-be2",
)
DIALLED = ("dial-app-server-headless", "dial-grpc-server", "dial-productcatalogservice")
PROXYLESS = (
    "proxyless-be1",
    "proxyless-be2",
    "proxyless-2-to-10",
    "proxyless-2-to-10-be2",
    "proxyless-be1-10",
    "proxyless-be2-10",
    "proxyless-10-to-3",
    "proxyless-10-to-3-be2",
    "proxyless-be1-3",
    "proxyless-be2-3",
)
NAMES = (*LOCALHOST, *(f"{name}-without-sidecar" for name in DIALLED), *DIALLED, *PROXYLESS)
UNDER_LOAD = (
    "scale-5-to-10",
    "scale-5-to-10-xds",
    "rolling-replacement",
    "rolling-replacement-xds",
    "proxyless-2-to-10",
)
STEADY = [
    name
    for name in NAMES
    if name.startswith(("with-", "all-", "ticketing", "frontend", "dial-", "proxyless-be"))
    and not name.endswith("-without-sidecar")
]


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Where the picture goes."""
    return tmp_path_factory.mktemp("picture") / "spread.svg"


@pytest.fixture(scope="module")
def document(picture):
    """Run the whole demo once; standard output is one JSON document and nothing else."""
    run = subprocess.run([*EVENKEEL, "demo", "--json", "--picture", picture], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def scenarios(document):
    """Give the scenarios by their names."""
    return {scenario["name"]: scenario for scenario in document["scenarios"]}


def test_every_phase_is_a_scenario_in_order(scenarios):
    """With the keys that were promised."""
    keys = {"name", "injected", "target", "mode", "discovery", "rpcs", "failed", "backends", "steady"}

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


@pytest.mark.parametrize("name", DIALLED)
def test_an_app_that_dials_a_name_reaches_one_server_until_its_pod_is_admitted(scenarios, name):
    """Dialling the same; afterwards all of them."""
    bare, captured = scenarios[f"{name}-without-sidecar"], scenarios[name]

    assert (False, True) == (bare["injected"], captured["injected"])
    assert bare["target"] == captured["target"]
    assert 1 == sum(1 for count in bare["backends"].values() if count)
    assert bare["backends"].keys() == captured["backends"].keys()
    assert 4 == len(captured["backends"])


def test_a_service_with_an_address_of_its_own_takes_pushed_endpoints(scenarios):
    """The other two are headless, and DNS does for them."""
    assert ["dns", "dns", "xds"] == [scenarios[name]["discovery"] for name in DIALLED]


@pytest.mark.parametrize("name", PROXYLESS)
def test_proxyless_clients_have_no_sidecar_and_lose_nothing(scenarios, name):
    """Two Services at once, while one of them is scaled from 2 to 10 to 3."""
    found = scenarios[name]

    assert ("proxyless", "xds", 0) == (found["mode"], found["discovery"], found["failed"])
    assert found["target"] == ("xds:///be2-srv" if "be2" in name else "xds:///be1-srv")


@pytest.mark.parametrize("name", STEADY)
def test_steady_phases_are_even_and_lose_nothing(scenarios, name):
    """To two decimals: every caller takes its servers in turn."""
    steady = scenarios[name]
    counts = steady["backends"].values()

    assert (steady["steady"], steady["injected"], steady["failed"]) == (True, True, 0)
    assert "1.00" == f"{max(counts) / min(counts):.2f}"


@pytest.mark.parametrize("name", UNDER_LOAD)
def test_new_servers_are_found_and_nothing_is_lost_meanwhile(scenarios, name):
    """Under load."""
    change = scenarios[name]

    assert change["failed"] == 0
    assert len([count for count in change["backends"].values() if count]) == 10
    assert change["seconds_to_new_backend"] >= 0


def test_both_ways_of_hearing_of_servers_are_compared_change_by_change(document, scenarios):
    """By the scenarios' own numbers."""
    compared = {each["change"]: each for each in document["side_by_side"]}

    assert ["scale-5-to-10", "scale-10-to-5", "rolling-replacement"] == list(compared)
    for change, both in compared.items():
        for way, name in (("dns", change), ("xds", f"{change}-xds")):
            assert scenarios[name]["discovery"] == way
            assert both[way] == {
                "seconds_to_new_backend": scenarios[name].get("seconds_to_new_backend"),
                "rpcs": scenarios[name]["rpcs"],
                "failed": scenarios[name]["failed"],
                "max_over_min_after": 1.0,
            }


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
    assert {"scale 5 to 10: DNS is asked", "scale 5 to 10: endpoints are pushed"} <= texts


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
