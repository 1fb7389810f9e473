"""What is to be done about one Pod."""

from __future__ import annotations

import pytest

from tests.reconcile.kit import INJECTOR, NOTHING, ORDERS, live_document, live_pod, wanted
from webhook import __version__
from webhook.core import names
from webhook.reconcile.keep import keep_pod
from webhook.reconcile.plan import Left, LeftAlone, Rewrite, is_newer, patch_body, plan


def test_a_pod_that_carries_what_it_should_is_left_in_peace() -> None:
    """No patch where nothing differs."""
    assert plan(live_pod(catalog=ORDERS), ORDERS, INJECTOR) is None


def test_only_what_differs_is_written() -> None:
    """The listeners do not depend on the Services: they are not sent again."""
    document = live_document(catalog=NOTHING)
    found = plan(keep_pod(document), ORDERS, INJECTOR)

    assert isinstance(found, Rewrite)
    assert set(found.annotations) == {names.CLUSTERS, names.ROUTES, names.STATUS}
    assert all(wanted(document, ORDERS)[key] == text for key, text in found.annotations.items())


def test_the_same_wanted_has_the_same_mark() -> None:
    """However much of it is missing; another catalog has another."""
    whole, part = live_document(catalog=NOTHING), live_document(catalog=ORDERS)
    del part["metadata"]["annotations"][names.STATUS]
    found = [plan(keep_pod(each), ORDERS, INJECTOR) for each in (whole, part)]
    other = plan(live_pod(catalog=ORDERS), NOTHING, INJECTOR)

    assert found[0].mark == found[1].mark != other.mark
    assert set(found[1].annotations) == {names.STATUS}


def test_the_patch_names_the_pod_by_its_uid_and_nothing_but_our_annotations() -> None:
    """A successor of the same name is not hit; a status update meanwhile is no conflict."""
    live = live_pod(uid="u-7", catalog=NOTHING)
    found = plan(live, ORDERS, INJECTOR)
    assert isinstance(found, Rewrite)

    assert patch_body(live, found) == {"metadata": {"uid": "u-7", "annotations": dict(found.annotations)}}


def _no_container(document: dict) -> None:
    document["spec"]["initContainers"] = []


def _no_configuration(document: dict) -> None:
    document["metadata"]["annotations"][names.CLUSTERS] = ""


def _leaving(document: dict) -> None:
    document["metadata"]["deletionTimestamp"] = "2026-08-22T10:00:00Z"


def _ended(document: dict) -> None:
    document["status"]["phase"] = "Succeeded"


def _bad(document: dict) -> None:
    document["metadata"]["annotations"][names.APP_PORT] = "many"


def _full(document: dict) -> None:
    document["metadata"]["annotations"]["example.com/notes"] = "x" * 256 * 1024


def _no_pod(document: dict) -> None:
    document["spec"]["containers"] = []


@pytest.mark.parametrize(
    ("spoil", "reason", "detail"),
    [
        (_no_container, LeftAlone.NO_SIDECAR, "injected"),
        (_no_configuration, LeftAlone.NO_SIDECAR, "injected"),
        (_no_pod, LeftAlone.NO_SIDECAR, "injected"),
        (_leaving, LeftAlone.ENDING, ""),
        (_ended, LeftAlone.ENDING, ""),
        (_bad, LeftAlone.BAD_ANNOTATIONS, "app-port"),
        (_full, LeftAlone.ANNOTATIONS_FULL, "room"),
    ],
)
def test_some_pods_are_left_alone(spoil: object, reason: LeftAlone, detail: str) -> None:
    """Each with a code, and with a sentence where somebody can mend it."""
    document = live_document(catalog=NOTHING)
    assert callable(spoil)
    spoil(document)
    found = plan(keep_pod(document), ORDERS, INJECTOR)

    assert isinstance(found, Left)
    assert found.reason is reason
    assert detail in found.detail


def test_what_a_newer_version_wrote_is_spared_when_asked() -> None:
    """Only then: after a rollback the older version is the one to write."""
    document = live_document(catalog=NOTHING)
    document["metadata"]["annotations"][names.STATUS] = '{"version":"999.0.0"}'
    live = keep_pod(document)

    assert plan(live, ORDERS, INJECTOR, spare_newer=True) == Left(LeftAlone.NEWER_VERSION)
    assert isinstance(plan(live, ORDERS, INJECTOR), Rewrite)


def test_what_an_older_version_wrote_is_written_anew() -> None:
    """If only in the status, which says whose it is."""
    document = live_document(catalog=ORDERS)
    annotations = document["metadata"]["annotations"]
    annotations[names.STATUS] = annotations[names.STATUS].replace(__version__, "0.0.1")
    found = plan(keep_pod(document), ORDERS, INJECTOR, spare_newer=True)

    assert isinstance(found, Rewrite)
    assert set(found.annotations) == {names.STATUS}


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        ("1.10.0", "1.9.0", True),
        ("1.9.0", "1.10.0", False),
        ("2.0", "1.9.9", True),
        ("1.0.0", "1.0.0", False),
        ("1.0.0rc1", "1.0.0", False),
        ("", "0.1", False),
        ("v9", "0.1", False),
    ],
)
def test_versions_are_compared_by_number(version: str, than: str, newer: bool) -> None:
    """A text that is no version is never newer."""
    assert is_newer(version, than) is newer
