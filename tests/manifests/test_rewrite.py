from __future__ import annotations

import io
import json
import re
from pathlib import Path

import jsonpatch
import pytest

from tests.manifests.ugly import UGLY, WRITTEN_ANEW
from webhook.core.patch import PatchRecorder, pointer
from webhook.core.workloads import pod_template
from webhook.manifests import Document, Rewritten, objects, read_documents, rewrite
from webhook.manifests.parse import parse

CONFIGURATION = 'admin:\n  address: "a: b"\n\n  list:\n    - "x"\n'
CONTAINER = {"name": "evenkeel-proxy", "args": ["--concurrency", "2"], "ports": [{"containerPort": 1}], "env": []}
ALL = {**UGLY, **WRITTEN_ANEW}


def read(text: str, folder: Path) -> list[Document]:
    """Read a text as a file."""
    file = folder / "file.yaml"
    file.write_bytes(text.encode())
    return read_documents([file])


def operations(pod: dict) -> tuple:
    """Record what the injector records."""
    edit = PatchRecorder(pod)
    edit.set("metadata", "annotations", "evenkeel.dev/clusters", value=CONFIGURATION)
    edit.set("metadata", "annotations", "evenkeel.dev/status", value='{"version":"0.1.0"}')
    edit.insert("spec", "initContainers", index=0, value=CONTAINER)
    edit.insert("spec", "volumes", index=0, value={"name": "evenkeel-config", "downwardAPI": {"defaultMode": 292}})
    return edit.operations


def changes(document: Document) -> list:
    """Give the operations for every workload of a document."""
    found = [(path, pod_template(obj)) for obj, _, path in objects([document])]
    return [((*path, *template.path), operations(template.document)) for path, template in found if template]


def applied(document: Document) -> object:
    """Give what the operations make of a document's value."""
    patch = [{**one, "path": pointer(*path) + one["path"]} for path, some in changes(document) for one in some]
    return jsonpatch.apply_patch(document.value, patch)


def rewritten(text: str, folder: Path) -> tuple[Document, Rewritten]:
    """Rewrite the one document of a text that is not empty."""
    document = next(one for one in read(text, folder) if one.value is not None)
    return document, rewrite(document, changes(document))


@pytest.mark.parametrize("name", ALL)
def test_joined_texts_are_the_file(name: str, tmp_path: Path) -> None:
    """Reading and joining gives every byte back."""
    documents = read(ALL[name], tmp_path)

    assert ALL[name] == "".join(document.text for document in documents)


@pytest.mark.parametrize("name", ALL)
def test_the_new_text_means_what_the_operations_give(name: str, tmp_path: Path) -> None:
    """Parsed, the new text is the old value with the operations applied, by a library that is not ours."""
    document, found = rewritten(ALL[name], tmp_path)

    assert applied(document) == parse(found.text)


@pytest.mark.parametrize("name", UGLY)
def test_an_edit_in_place_keeps_every_line(name: str, tmp_path: Path) -> None:
    """Nothing a person wrote is lost or reordered: without what was added, the characters are the old ones."""
    document, found = rewritten(UGLY[name], tmp_path)

    assert not found.anew
    remaining = iter(found.text)
    kept = re.sub(r"(?<=:)\s*(~|null|\{\}|\[ ?\])", "", document.text)
    assert all(char in remaining for char in kept if not char.isspace())


@pytest.mark.parametrize("name", WRITTEN_ANEW)
def test_what_cannot_be_edited_is_written_anew(name: str, tmp_path: Path) -> None:
    """Aliases and odd layouts are not guessed at."""
    document, found = rewritten(WRITTEN_ANEW[name], tmp_path)

    assert found.text != document.text
    assert found.anew or name.startswith("json")


def test_plain_manifest_as_a_person_would_edit_it(tmp_path: Path) -> None:
    """Additions stand right below the key they belong to, above the comments of what was there."""
    _, found = rewritten(UGLY["plain with comments everywhere"], tmp_path)
    expected = """\
  template:
    # about the pods
    metadata:
      annotations:
        evenkeel.dev/clusters: |
          admin:
            address: "a: b"

            list:
              - "x"
        evenkeel.dev/status: '{"version":"0.1.0"}'
      # seen by the Service
      labels: {app: web}   # one label
    spec:
      initContainers:
      - name: evenkeel-proxy
        args:
        - --concurrency
        - "2"
        ports:
        - containerPort: 1
        env: []
      volumes:
      - name: evenkeel-config
        downwardAPI:
          defaultMode: 292
      # what runs
      containers:
        # the app
        - name: web
"""

    assert expected in found.text


@pytest.mark.parametrize("name", ["windows line breaks", "byte order mark and document start"])
def test_windows_line_breaks_stay(name: str, tmp_path: Path) -> None:
    """No line of the new text ends in another way than the others."""
    _, found = rewritten(UGLY[name], tmp_path)

    assert found.text.count("\r\n") == found.text.count("\n")


def test_no_final_line_break_stays_so(tmp_path: Path) -> None:
    """A file that ends without a line break still does."""
    _, found = rewritten(UGLY["block scalar last, no final line break"], tmp_path)

    assert found.text.endswith("done")


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("json")])
def test_json_stays_json(name: str, tmp_path: Path) -> None:
    """A JSON document is still one, not YAML's flow style with JSON in it."""
    document, found = rewritten(ALL[name], tmp_path)

    assert applied(document) == json.loads(found.text)


def test_json_over_lines_stays_readable(tmp_path: Path) -> None:
    """What is added to indented JSON is indented as the rest."""
    _, found = rewritten(UGLY["json over lines"], tmp_path)

    assert found.text == json.dumps(json.loads(found.text), indent=4) + "\n"


def test_markers_and_outer_comments_survive_writing_anew(tmp_path: Path) -> None:
    """A document written anew still starts and ends where it did."""
    _, found = rewritten(WRITTEN_ANEW["ends with an alias"], tmp_path)

    assert found.text.startswith("# keep\n---\napiVersion: v1\n")
    assert found.text.endswith("\n# and this\n...\n")


def test_a_value_may_be_replaced(tmp_path: Path) -> None:
    """Rendering an existing sidecar again replaces values where they stand."""
    document = read(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    a: |\n      old\n\n    # two\n    b: 'old' # note\n"
        "    c: &x old\nspec:\n  m: [1, {k: v}]\n",
        tmp_path,
    )[0]
    edit = PatchRecorder(document.value)
    for key, value in (("a", "new\nlines\n"), ("b", "two\nlines\n"), ("c", "yes")):
        edit.set("metadata", "annotations", key, value=value)
    edit.set("spec", "m", 1, value={"k": "w"})

    found = rewrite(document, [((), edit.operations)])

    expected = (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    a: |\n      new\n      lines\n    # two\n"
        '    b: | # note\n      two\n      lines\n    c: "yes"\nspec:\n  m: [1, {k: "w"}]\n'
    )
    assert expected == found.text


def test_the_document_itself_is_never_changed(tmp_path: Path) -> None:
    """Rewriting twice gives the same text twice."""
    document, first = rewritten(UGLY["list of objects"], tmp_path)

    assert first == rewrite(document, changes(document))


def test_standard_input_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line break is translated on the way in."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: b\r\n")))
    monkeypatch.setattr("webhook.manifests.read.check", lambda _: ())

    expected = ["a: b\r\n"]
    assert expected == [document.text for document in read_documents(["-"])]
