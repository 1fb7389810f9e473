"""`evenkeel eject`: text in, the text back that was there before `inject`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.kit import KINDS, POD, SERVICE, Ran, Shell, as_list, workload
from tests.manifests.ugly import UGLY, WRITTEN_ANEW
from webhook.cli.eject import run_eject
from webhook.cli.report import Report
from webhook.cli.workloads import read_input
from webhook.core import names
from webhook.manifests.parse import parse

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path for path in FOLDER.glob("*/*.yaml") if path.stem != "kustomization")
EQUALS_ABSENT = {
    "null parent last, no final line break",
    "null metadata of the template",
    "tilde, null and empty parents",
    "empty annotations",
    "empty annotations on a line of their own",
    "empty annotations with a comment",
    "flow over lines",
    "json over lines",
    "json with numbers",
}
"""Texts with an empty or null part that `inject` fills: it is gone afterwards, which means the same."""
ALIASED = {"anchors elsewhere"}
"""Labels that are an alias: `inject`, which adds one, had to write the document anew."""


class Ejects:
    """Injects by the command, and ejects."""

    def __init__(self, shell: Shell, capture: pytest.CaptureFixture[bytes]) -> None:
        self.shell = shell
        self._capture = capture

    def inject(self, text: str) -> str:
        """Give a text with sidecars."""
        ran = self.shell.run("inject", "--all", "-f", self.shell.write("in.yaml", text))
        assert ran.code == 0, ran.err
        return ran.out

    def eject(self, *texts: str) -> Ran:
        """Run on files with these texts."""
        files = [self.shell.write(f"{number}.yaml", text) for number, text in enumerate(texts)]
        code = run_eject(read_input([str(self.shell.folder / file) for file in files], (), None), Report())
        out, err = self._capture.readouterr()
        return Ran(code, out.decode(), err.decode().replace(f"{self.shell.folder}/", "").splitlines())


@pytest.fixture
def it(shell: Shell, capsysbinary: pytest.CaptureFixture[bytes]) -> Ejects:
    """Give both commands."""
    return Ejects(shell, capsysbinary)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_comes_back_byte_for_byte(path: Path, it: Ejects) -> None:
    """Comments, order, quotes, indentation."""
    text = path.read_text()

    assert it.eject(it.inject(text)).out == text


@pytest.mark.parametrize("name", sorted(UGLY.keys() - EQUALS_ABSENT - ALIASED))
def test_texts_as_people_write_them_come_back_byte_for_byte(name: str, it: Ejects) -> None:
    """Whatever their layout."""
    assert it.eject(it.inject(UGLY[name])).out == UGLY[name]


@pytest.mark.parametrize("name", sorted({**UGLY, **WRITTEN_ANEW}))
def test_what_comes_back_has_nothing_of_ours(name: str, it: Ejects) -> None:
    """Also where a part that was empty is now absent, or where `inject` had to write the document anew."""
    ran = it.eject(it.inject({**UGLY, **WRITTEN_ANEW}[name]))

    assert ran.code == 0
    assert names.SIDECAR not in ran.out
    assert names.STATUS not in ran.out
    assert names.INJECTED not in ran.out


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_workload(kind: str, it: Ejects) -> None:
    """Its template, wherever it stands."""
    text = yaml.safe_dump(workload(kind))

    ran = it.eject(it.inject(text))

    assert ran == (0, text, [f"{kind} shop/web: ejected", "evenkeel: 1 ejected, 0 without, in 1 document"])


def test_a_json_list_comes_back_byte_for_byte(it: Ejects) -> None:
    """As `kubectl get -o json` writes it."""
    text = as_list(workload("Deployment"), workload("Pod", "other"))

    ran = it.eject(it.inject(text))

    assert ran.out == text
    assert ran.err[-1] == "evenkeel: 2 ejected, 0 without, in 1 document"


def test_compact_json_comes_back_byte_for_byte(it: Ejects) -> None:
    """In one line."""
    text = json.dumps(workload("Deployment"), separators=(",", ":"))

    assert it.eject(it.inject(text)).out == text


def test_what_has_nothing_of_ours_is_copied(it: Ejects) -> None:
    """Byte for byte, through odd separators; the reason is told."""
    text = f"# mine\r\n{SERVICE}--- # next\n---\n{POD}  # end\n...\n"

    ran = it.eject(text)

    assert ran.out == text
    assert ran.err == [
        "Pod shop/web: nothing of the sidecar is there",
        "evenkeel: 0 ejected, 1 without, in 2 documents",
    ]


def test_without_a_workload_it_says_so(it: Ejects) -> None:
    """And copies."""
    assert it.eject(SERVICE) == (0, SERVICE, ["evenkeel: no workload in 1 document"])


def test_ours_among_the_authors_own(it: Ejects) -> None:
    """Ours may have been moved behind theirs by hand or by a tool; each layout loses just ours."""
    text = """\
apiVersion: v1
kind: Pod
metadata:
  labels: {app: web, evenkeel.dev/injected: "true"}   # flow, ours last
  annotations:
    # mine
    example.com/note: x
    evenkeel.dev/status: |
      {}
    # last word
spec:
  volumes:
  - {name: data}
  - name: evenkeel-config
    downwardAPI:
      items:
      - fieldRef: {fieldPath: "metadata.annotations['evenkeel.dev/bootstrap']"}
        path: b
  # where it runs
  containers: [{name: web}]
"""
    ours = text.replace(', evenkeel.dev/injected: "true"', "").replace("    evenkeel.dev/status: |\n      {}\n", "")
    start, end = ours.index("  - name: evenkeel-config"), ours.index("  # where it runs")

    assert it.eject(text).out == ours[:start] + ours[end:]


def test_an_alias_is_written_anew_and_told(it: Ejects) -> None:
    """What an anchor shares cannot be cut in one place."""
    text = """\
kind: Pod
apiVersion: v1
metadata:
  labels: &x {app: web, evenkeel.dev/injected: "true"}
  annotations: *x
spec: {containers: [{name: web}]}
"""
    ran = it.eject(text)

    assert parse(ran.out)["metadata"] == {
        "labels": {"app": "web"},
        "annotations": {"app": "web", names.INJECTED: "true"},
    }
    assert ran.err[1].startswith("0.yaml: document 1, line 1: warning: written anew")


def test_what_is_no_pod_is_told_and_nothing_is_written(it: Ejects) -> None:
    """With file, document and line."""
    ran = it.eject(f"{POD}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: odd}}\n")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == [
        "evenkeel: 0.yaml: document 2, line 12: Pod default/odd: spec: found nothing, expected an object",
        "evenkeel: 1 problem, nothing is written",
    ]
