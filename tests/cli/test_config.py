from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.cli.kit import NAMESPACE, POD, SERVICE, Shell, workload

BOTH = f"{NAMESPACE}---\n{SERVICE}---\n{POD}"
FILES = ["bootstrap.yaml", "clusters.yaml", "routes.yaml", "listeners.yaml"]


def test_the_four_files_are_one_stream(shell: Shell) -> None:
    """A comment names each, and it is the text the sidecar would read."""
    injected = yaml.safe_load_all(shell.run("inject", "-f", "-", stdin=BOTH).out)
    annotations = list(injected)[2]["metadata"]["annotations"]
    ran = shell.run("config", "pod/web", "-f", "-", stdin=BOTH)

    texts = [annotations[f"evenkeel.dev/{name.removesuffix('.yaml')}"] for name in FILES]
    parts = [f"---\n# /etc/evenkeel/{name}\n{text}" for name, text in zip(FILES, texts, strict=True)]
    assert ran == (0, "".join(parts), [])


def test_captures_and_what_pushing_takes_are_shown_too(shell: Shell) -> None:
    """The files that only some Pods have, and in the one static document the routes and secrets that they hold."""
    bundle = b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").decode()
    webhook = {"name": "inject.evenkeel.dev", "clientConfig": {"caBundle": bundle}}
    metadata = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    configuration = yaml.safe_dump({**metadata, "metadata": {"name": "evenkeel"}, "webhooks": [webhook]})
    words = "  annotations: {evenkeel.dev/capture: enabled, evenkeel.dev/discovery: xds}\n"
    text = f"{NAMESPACE}---\n{SERVICE}---\n{configuration}---\n{POD.replace('  namespace', f'{words}  namespace', 1)}"

    files = shell.run("config", "pod/web", "-f", "-", stdin=text)
    static = yaml.safe_load(shell.run("config", "pod/web", "-f", "-", "--static", stdin=text).out)

    shown = [line.rpartition("/")[2] for line in files.out.splitlines() if line.startswith("# /etc")]
    assert files.err == []
    assert shown == [*FILES, "captures.yaml", "trust.yaml", "identity.yaml"]
    assert [secret["name"] for secret in static["static_resources"]["secrets"]] == ["trust", "identity"]
    assert static["dynamic_resources"].keys() == {"ads_config"}
    assert "orders.shop:50051" in [listener["name"] for listener in static["static_resources"]["listeners"]]
    assert not {"rds", "sds_config"} & set(re.findall(r"'(\w+)':", str(static)))


def test_an_injected_workload_shows_what_it_carries(shell: Shell) -> None:
    """As for a live Pod: what its annotations say is what Envoy runs."""
    injected = shell.run("inject", "-f", "-", stdin=BOTH).out
    fresh = shell.run("config", "pod/web", "-f", "-", stdin=BOTH)

    assert fresh == shell.run("config", "pod/web", "-f", "-", stdin=injected.split("---\n", 2)[2])


def test_the_namespace_counts_as_labelled(shell: Shell) -> None:
    """The question is what Envoy would run, not whether."""
    assert shell.run("config", "pod/web", "-f", "-", stdin=POD).code == 0


def test_files_can_be_written(shell: Shell) -> None:
    """Into a folder that is made; standard output stays empty."""
    ran = shell.run("config", "Pod/web", "-f", "-", "--output-folder", "out/envoy", stdin=BOTH)

    assert (ran.code, ran.out) == (0, "")
    assert ran.err == [f"out/envoy/{name}: written" for name in FILES]
    assert sorted(path.name for path in (shell.folder / "out/envoy").iterdir()) == sorted(FILES)


def test_a_folder_that_cannot_be_is_told(shell: Shell) -> None:
    """Without a traceback."""
    shell.write("out", "a file")
    ran = shell.run("config", "Pod/web", "-f", "-", "--output-folder", "out", stdin=BOTH)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == ["evenkeel: out: cannot be written (File exists)"]


def envoy() -> str | None:
    """Find Envoy: on the PATH, or as the package that the demo uses."""
    spec = find_spec("envoy")
    places = [Path(place) / "_bin" / "envoy" for place in (spec.submodule_search_locations or () if spec else ())]
    return shutil.which("envoy") or next((str(place) for place in places if place.is_file()), None)


@pytest.mark.skipif(envoy() is None, reason="no Envoy on this machine")
def test_envoy_accepts_the_static_form(shell: Shell) -> None:
    """One self-contained bootstrap."""
    ran = shell.run("config", "po/web", "-f", "-", "--static", stdin=BOTH)
    file = shell.folder / shell.write("static.yaml", ran.out)

    checked = subprocess.run([str(envoy()), "--mode", "validate", "-c", file], capture_output=True, check=False)
    assert (ran.code, checked.returncode) == (0, 0), checked.stderr.decode()
    assert "dynamic_resources" not in yaml.safe_load(ran.out)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("Deployment", "deploy"), ("Deployment", "DEPLOYMENTS"), ("StatefulSet", "sts"), ("DaemonSet", "ds"),
        ("ReplicaSet", "rs"), ("ReplicationController", "rc"), ("Job", "job"), ("CronJob", "cj"), ("Pod", "po"),
    ],
)  # fmt: skip
def test_kinds_are_written_as_for_kubectl(kind: str, asked: str, shell: Shell) -> None:
    """Short, plural, in any case."""
    assert shell.run("config", f"{asked}/web", "-f", "-", stdin=yaml.safe_dump(workload(kind))).code == 0


def test_an_unknown_name_tells_those_that_exist(shell: Shell) -> None:
    """So that the next try is right."""
    ran = shell.run("config", "deploy/web", "-f", "-", stdin=f"{BOTH}---\n{yaml.safe_dump(workload('Job', 'batch'))}")

    expected = "evenkeel: found no Deployment web in the manifests; there is Pod shop/web, Job shop/batch"
    assert ran == (1, "", [expected])


def test_the_namespace_tells_two_of_one_name_apart(shell: Shell) -> None:
    """Without it, both are named."""
    two = f"{POD}---\n{POD.replace('namespace: shop', 'namespace: other')}"

    assert shell.run("config", "pod/web", "-f", "-", "-n", "other", stdin=two).code == 0
    assert shell.run("config", "pod/web", "-f", "-", stdin=two).err == [
        "evenkeel: found Pod web more than once: Pod shop/web, Pod other/web; expected --namespace to name one"
    ]


def test_a_skipped_or_rejected_workload_says_why(shell: Shell) -> None:
    """There is nothing to show then."""
    skipped = shell.run("config", "job/web", "-f", "-", stdin=yaml.safe_dump(workload("Job", hostNetwork=True)))
    wrong = POD.replace("metadata:\n", "metadata:\n  annotations: {evenkeel.dev/app-port: x}\n")
    rejected = shell.run("config", "pod/web", "-f", "-", stdin=wrong)

    assert (skipped.code, skipped.out) == (1, "")
    assert skipped.err[0].startswith("evenkeel: Job shop/web: skipped host-network: ")
    assert (rejected.code, rejected.out) == (1, "")
    assert rejected.err[0].startswith(
        "evenkeel: <stdin>: document 1, line 2: Pod shop/web: annotation evenkeel.dev/app"
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("web", "found 'web'; expected KIND/NAME such as deploy/web"),
        ("deploy/", "found 'deploy/'; expected KIND/NAME such as deploy/web"),
        ("a/b/c", "found 'a/b/c'; expected KIND/NAME such as deploy/web"),
        ("dployment/web", "did you mean deployment?"),
    ],
)
def test_what_is_no_workload_is_a_wrong_call(asked: str, expected: str, shell: Shell) -> None:
    """Exit code 2, and the nearest kind."""
    ran = shell.run("config", asked, "-f", "-", stdin=POD)

    assert (ran.code, ran.out) == (2, "")
    assert expected in ran.err[0]
