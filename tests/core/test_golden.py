"""Each golden case gives what stands in its folder."""

from __future__ import annotations

import pytest

from tests import golden
from tests.core import summary
from tests.core.cases import FOLDER, INPUTS, VERBATIM, Case, cases, expected_files, injected, run
from webhook.core import names


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_case(case: Case, update_golden: bool) -> None:
    """What the folder's name promises is what comes out, as written down there."""
    golden.check(case.folder, expected_files(run(case)), update=update_golden)


def test_no_folder_holds_a_file_that_nothing_reads() -> None:
    """A file with a misspelt name would be a case that is not tested."""
    strays = [
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*")
        if path.is_file()
        and (path.parent.parent != FOLDER or not (path.name in INPUTS or path.name.startswith("expected.")))
    ]
    without_pod = [
        case.name
        for case in cases()
        if sum((case.folder / name).exists() for name in ("pod.yaml", "example.yaml")) != 1
    ]

    assert strays + without_pod == []


def test_there_are_enough_of_each_outcome() -> None:
    """A glob that finds nothing would pass every test."""
    results = list(map(run, cases()))
    rejected = [result for result in results if result.outcome is None]
    skipped = [result for result in results if result.outcome and result.outcome.skip]

    assert len(results) >= 150
    assert len([result for result in results if result.outcome and result.outcome.injected]) >= 100
    assert len(skipped) >= 30
    assert len(rejected) >= 15


@pytest.mark.parametrize("name", ["bootstrap", "clusters", "routes", "listeners"])
def test_the_verbatim_case_holds_the_file(name: str) -> None:
    """One case shows every byte that a Pod gets."""
    document = golden.read(FOLDER / VERBATIM / "expected.pod.yaml")

    assert document["metadata"]["annotations"][f"{names.DOMAIN}/{name}"].count("\n") > 10


def test_what_summaries_leave_out_is_the_same_in_every_case() -> None:
    """A summary of the sidecar's container hides nothing that differs; of its volume neither."""
    full = golden.read(FOLDER / VERBATIM / "expected.pod.yaml")["spec"]
    expected = {
        "sidecar": summary.rest_of_sidecar(full["initContainers"][0]),
        "volume": summary.rest_of_volume(full["volumes"][0]),
    }

    different = [
        result.case.name
        for result in map(run, injected())
        if expected
        != {
            "sidecar": summary.rest_of_sidecar(_named(result.patched["spec"]["initContainers"], names.SIDECAR)),
            "volume": summary.rest_of_volume(_named(result.patched["spec"]["volumes"], names.VOLUME)),
        }
    ]

    assert different == []


def _named(items: list[dict[str, object]], name: str) -> dict[str, object]:
    [found] = [item for item in items if item["name"] == name]
    return found
