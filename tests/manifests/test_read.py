from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.core.errors import ManifestError
from webhook.manifests import objects, read_documents
from webhook.manifests.split import split

GOOD = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
LINES = [
    "---",
    "--- # c",
    "--- {a: b}",
    "...",
    "# c",
    "",
    "  ",
    "%YAML 1.1",
    "a: b",
    "- x",
    "  ---",
    "----",
    '"---',
    "\ufeff",
    "|",
]


def problems_of(text: str | bytes, folder: Path) -> list[str]:
    """Give what is said about a file `f.yaml`, without the folder's name."""
    file = folder / "f.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ManifestError) as caught:
        read_documents([file])
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


@given(st.lists(st.tuples(st.sampled_from(LINES) | st.text(), st.sampled_from(["\n", "\r\n", "\r", ""]))))
def test_joined_pieces_are_the_text(lines: list[tuple[str, str]]) -> None:
    """Whatever the text, no byte is lost or moved, and every piece knows its line."""
    text = "".join(line + end for line, end in lines)
    pieces = split(text)

    assert text == "".join(piece.text for piece in pieces)
    assert pieces[0].line == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("# only\n", ["# only\n"]),
        ("a: 1", ["a: 1"]),
        ("---\na: 1\n---\nb: 1\n", ["---\na: 1\n", "---\nb: 1\n"]),
        ("# c\n---\na: 1\n# d\n---\n", ["# c\n---\na: 1\n# d\n", "---\n"]),
        ("---\n---\n", ["---\n", "---\n"]),
        ("a: 1\n...\n# c\n%YAML 1.1\n---\nb: 1\n", ["a: 1\n...\n", "# c\n%YAML 1.1\n---\nb: 1\n"]),
        ("a: 1\n...\n# c\n", ["a: 1\n...\n# c\n"]),
        ("a: |\n  ---\n  ...\n", ["a: |\n  ---\n  ...\n"]),
        ("a: 1\n---b: 2\n", ["a: 1\n---b: 2\n"]),
        ("---\r\na: 1\r\n---\tx\r\n", ["---\r\na: 1\r\n", "---\tx\r\n"]),
        ("\ufeff---\na: 1\n\ufeff---\nb: 1\n", ["\ufeff---\na: 1\n", "\ufeff---\nb: 1\n"]),
    ],
)
def test_documents_begin_where_yaml_says(text: str, expected: list[str]) -> None:
    """Markers at the start of a line divide, and nothing else does; comments go with what follows them."""
    assert expected == [piece.text for piece in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b: c\n", ("line 1: found a ':' where no key can stand; expected one `key: value` a line at the mapping's "
         "indentation, or quotes around a text that contains ': '")),
        (GOOD + "spec:\n\tports: []\n", "line 5: found a tab; expected spaces for indentation"),
        (GOOD + "spec: @x\n", "line 4: found a value that starts with '@'; expected quotes around it"),
        (GOOD + "spec: 'x\n", "line 4: found the end of the document inside a quoted text; expected its closing quote"),
        (GOOD + "spec: [1\n", "line 4: found no end of the `[`; expected `,` between items and `]` at the end"),
        (GOOD + "spec: *x\n", ("line 4: found an alias `*name` that no anchor defines; expected an anchor `&name` "
         "before it, in the same document")),
        (GOOD + "kind: Pod\n", "line 4: found the key 'kind' again, first 2 lines above; expected every key once"),
        (GOOD + "? [a]\n: b\n", "line 4: found a mapping or a list as a key; expected a text"),
        (GOOD + "spec: {{ .Values.spec }}\n", ("line 4: found a mapping or a list as a key; expected a text "
         "(a template that was not rendered?)")),
        (GOOD + "~: b\n", "line 4: found nothing as a key; expected a text"),
        (GOOD + "spec: !!python/object/apply:os.system [id]\n", ("line 4: found the tag "
         "'!!python/object/apply:os.system'; expected no tag")),
        (GOOD + "spec: !!binary aGk=\n", "line 4: found the tag '!!binary'; expected no tag"),
        (GOOD + "spec: .inf\n", ("line 4: found the number '.inf'; expected a number that JSON can carry, or quotes "
         "around it")),
        (GOOD + "spec: !!int x\n", "line 4: found 'x' with the tag '!!int'; expected a value that fits its tag"),
        (GOOD + "spec: &a {b: *a}\n", ("line 4: found nesting deeper than 200, or an anchor inside itself; expected a "
         "shallower document")),
        (GOOD + "spec: \x07\n", "line 4: found the control character 7; expected printable text"),
        (GOOD + "x: &a 1\n<<: 1\n", ("line 5: found a merge key `<<` with something else; expected a mapping or a "
         "list of mappings")),
        ("a: b\n", ("line 1: found no apiVersion and no kind; expected apiVersion and kind, as every Kubernetes object "
         "has them")),
        ("{{- if .Values.on }}\na: b\n", ("line 1: found no value where one must stand; expected a value, `]` or `}` "
         "(a template that was not rendered?)")),
        ('{"apiVersion": "v1", "kind": "Pod",\n"spec": NaN, "spec": 1}', ("line 2: found the key 'spec' again, first "
         "on the same line; expected every key once")),
        ("- a\n", "line 1: found a list; expected an object with apiVersion and kind"),
        ("just text\n", "line 1: found a text; expected an object with apiVersion and kind"),
        ("# c\nkind: Pod\n", ("line 2: found no apiVersion; expected apiVersion and kind, as every Kubernetes object "
         "has them")),
        ("apiVersion: v1\nkind: 3\n", ("line 1: found a number as kind; expected apiVersion and kind, as every "
         "Kubernetes object has them")),
        ("apiVersion: v1\nkind: List\nitems:\n- a: b\n  apiVersion: v1\n", ("line 4: found no kind; expected "
         "apiVersion and kind, as every Kubernetes object has them")),
        ("apiVersion: v1\nkind: List\nitems: 3\n", "line 3: found a number as items; expected a list"),
        ('{"apiVersion": "v1",\n"kind": "Pod", "kind": "Pod"}', ("line 2: found the key 'kind' again, first on the "
         "same line; expected every key once")),
        ('{"apiVersion": "v1", "kind": "Pod"} {"a": 1}', ("line 1: found more text after the end of the document; "
         "expected `---` before another one")),
        ('{"apiVersion": "v1", "kind": "Pod"', ("line 1: found no end of the `{`; expected `,` between entries and `}` "
         "at the end")),
    ],
)  # fmt: skip
def test_a_broken_manifest_says_what_was_found_and_expected(text: str, expected: str, tmp_path: Path) -> None:
    """File, document, line, what was found, what was expected."""
    assert [f"f.yaml: document 1, {expected}"] == problems_of(text, tmp_path)


def test_a_few_anchors_that_would_grow_without_bound_are_refused(tmp_path: Path) -> None:
    """Ten aliases of ten aliases of ten ... are told, not expanded."""
    steps = "".join(f"a{step}: &a{step} [{', '.join([f'*a{step - 1}'] * 10)}]\n" for step in range(1, 10))

    found = problems_of(f"{GOOD}a0: &a0 x\n{steps}", tmp_path)

    assert "found aliases that repeat more than 100000 values; expected fewer aliases" in found[0]


def test_no_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    """Text in another encoding cannot be guessed."""
    expected = ["f.yaml: line 2: found the byte 0xff, which is not UTF-8; expected UTF-8 text"]

    assert expected == problems_of(b"# a\n# \xff\n", tmp_path)


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    """One run is enough to learn of all mistakes; a broken document does not hide the next one."""
    (tmp_path / "a.yaml").write_text(f"{GOOD}---\na: b: c\n---\nkind: Pod\n")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ManifestError) as caught:
        read_documents([tmp_path / "none.yaml", tmp_path])

    places = [problem.split(": found")[0].replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert places == [
        "none.yaml: cannot be read (No such file or directory); expected a file, a folder or - for standard input",
        "a.yaml: document 2, line 5",
        "a.yaml: document 3, line 7",
        "b.json: document 1, line 1",
    ]


def test_folders_are_read_in_order_of_names(tmp_path: Path) -> None:
    """Below folders too; what is hidden, no manifest, or kustomize's own is passed over."""
    for name in ("b.yml", "a.yaml", "c.json", "sub/d.yaml", ".hidden/e.yaml", "..data/a.yaml", ".f.yaml", "g.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"apiVersion": "v1", "kind": "Service"}')
    (tmp_path / "kustomization.yaml").write_text("resources: []")

    found = [str(Path(document.source).relative_to(tmp_path)) for document in read_documents([tmp_path])]

    assert found == ["a.yaml", "b.yml", "c.json", "sub/d.yaml"]


def test_a_folder_without_manifests_is_a_mistake(tmp_path: Path) -> None:
    """It is most likely the wrong folder."""
    with pytest.raises(ManifestError, match="found no manifest in this folder"):
        read_documents([tmp_path])


def test_lists_are_opened(tmp_path: Path) -> None:
    """Also lists in lists and a whole JSON file that is one; each object knows its path."""
    inner = '{"apiVersion": "v1", "kind": "PodList", "items": [{"apiVersion": "v1", "kind": "Pod"}]}'
    (tmp_path / "a.json").write_text(f'{{"apiVersion": "v1", "kind": "List", "items": [{inner}]}}')
    (tmp_path / "b.yaml").write_text("# nothing\n---\n---\napiVersion: v1\nkind: List\nitems:\n")

    found = [(obj["kind"], path) for obj, _, path in objects(read_documents([tmp_path]))]

    assert found == [("Pod", ("items", 0, "items", 0))]


def test_a_part_of_a_document_is_found_by_its_path(tmp_path: Path) -> None:
    """Messages name the line of the part they are about, or of the nearest one above it."""
    (tmp_path / "a.yaml").write_text("# c\n---\n" + GOOD + "spec:\n  ports:\n  - port: 1\n  - port: 2\n")
    document = read_documents([tmp_path / "a.yaml"])[0]

    lines = [document.where(path).rpartition(" ")[2] for path in [(), ("spec", "ports", 1), ("spec", "none", 1)]]

    assert lines == ["3", "9", "6"]
