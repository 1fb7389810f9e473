"""The catalog from files: read at the start, again on a change, never replaced by something broken."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from tests import builders
from webhook.catalog_files import CatalogFiles, CatalogHolder
from webhook.core.errors import CatalogNotReady, SettingsError
from webhook.core.model import ServiceRef
from webhook.observe import Metrics

ORDERS, USERS = builders.service("orders"), builders.service("users")


class Source:
    """A folder of manifests and what reads it."""

    def __init__(self, folder: Path, *services: object) -> None:
        self.folder = folder
        self.put("services.yaml", *services)
        self.metrics = Metrics()
        self.holder = CatalogHolder()
        self.files = CatalogFiles([folder], self.holder, self.metrics.catalog)

    def put(self, name: str, *services: object) -> None:
        """Write a file."""
        (self.folder / name).write_text(yaml.safe_dump_all(services))

    def names(self) -> set[str]:
        """Give the Services of the catalog in use."""
        return {ref.name for ref in self.holder.current.services}

    def failures(self) -> float | None:
        """Give how many changes were refused."""
        return self.metrics.registry.get_sample_value("evenkeel_catalog_reload_failures_total")


def test_a_holder_without_a_catalog_says_that_it_is_not_ready() -> None:
    """Whoever asks too early is told to come again."""
    with pytest.raises(CatalogNotReady):
        CatalogHolder().current  # noqa: B018


def test_the_services_are_there_from_the_start(tmp_path: Path) -> None:
    """A server that accepts has a catalog."""
    assert {"orders"} == Source(tmp_path, ORDERS).names()


@pytest.mark.parametrize("text", ["a: [", "kind: Service\nmetadata: 3", "- 1\n- 2"])
def test_a_broken_file_at_the_start_is_named(tmp_path: Path, text: str) -> None:
    """The operator learns which file, and in which document."""
    (tmp_path / "broken.yaml").write_text(text)

    with pytest.raises(SettingsError) as caught:
        Source(tmp_path, ORDERS)

    assert all(problem.startswith("catalog: ") for problem in caught.value.problems)
    assert "broken.yaml" in str(caught.value)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A mistyped path is known at the start."""
    with pytest.raises(SettingsError) as caught:
        CatalogFiles([tmp_path / "nowhere"], CatalogHolder(), Metrics().catalog)

    assert "nowhere" in str(caught.value)


async def test_a_new_file_is_read(tmp_path: Path) -> None:
    """The folder is watched, not only the files that were there."""
    source = Source(tmp_path, ORDERS)
    source.put("more.yaml", USERS)
    await source.files.look()

    assert {"orders", "users"} == source.names()


async def test_a_file_that_is_gone_takes_its_services_along(tmp_path: Path) -> None:
    """What no file says any more is no longer so."""
    source = Source(tmp_path, ORDERS)
    source.put("more.yaml", USERS)
    await source.files.look()
    (tmp_path / "more.yaml").unlink()
    await source.files.look()

    assert {"orders"} == source.names()


async def test_files_that_were_only_touched_give_the_same_catalog(tmp_path: Path) -> None:
    """Content decides: the object stays, and nothing is logged."""
    source = Source(tmp_path, ORDERS)
    before = source.holder.current
    source.put("empty.yaml")
    with capture_logs() as lines:
        await source.files.look()

    assert ([], True) == (lines, before is source.holder.current)


async def test_a_broken_change_keeps_the_last_catalog_and_is_told_once(tmp_path: Path) -> None:
    """One line and one step of the metric, however often it is looked at."""
    source = Source(tmp_path, ORDERS)
    (tmp_path / "services.yaml").write_text("a: [")

    with capture_logs() as lines:
        for _ in range(3):
            await source.files.look()

    assert ({"orders"}, 1.0) == (source.names(), source.failures())
    assert ["catalog refused, the old one stays in use"] == [line["event"] for line in lines]


async def test_a_change_that_is_mended_is_used(tmp_path: Path) -> None:
    """What was broken for a moment is no harm."""
    source = Source(tmp_path, ORDERS)
    (tmp_path / "services.yaml").write_text("a: [")
    await source.files.look()
    source.put("services.yaml", USERS)
    await source.files.look()

    assert {"users"} == source.names()


async def test_what_is_wrong_in_a_service_is_logged_once_a_change(tmp_path: Path) -> None:
    """The Service is left out or taken as far as it goes; the others are not concerned."""
    source = Source(tmp_path, ORDERS)
    source.put("odd.yaml", builders.service("odd", annotations={"evenkeel.dev/retry": "often"}))

    with capture_logs() as lines:
        await source.files.look()
        await source.files.look()

    problems = [line for line in lines if line["event"] == "catalog problem"]
    assert 1 == len(problems)
    assert ServiceRef("shop", "orders") in source.holder.current.services


async def test_a_mounted_config_map_is_read_once_and_followed(tmp_path: Path) -> None:
    """A kubelet keeps the files in a folder of its own and swaps a symlink: no Service is there twice."""
    for name, service in (("..one", ORDERS), ("..two", USERS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "services.yaml").write_text(yaml.safe_dump(service))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "services.yaml").symlink_to("..data/services.yaml")
    holder = CatalogHolder()
    files = CatalogFiles([tmp_path], holder, Metrics().catalog)
    before = {ref.name for ref in holder.current.services}

    (tmp_path / "..new").symlink_to("..two")
    (tmp_path / "..new").rename(tmp_path / "..data")
    await files.look()

    assert ({"orders"}, {"users"}) == (before, {ref.name for ref in holder.current.services})


CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def configuration(*bundles: object, name: str = "inject.evenkeel.dev") -> dict[str, object]:
    """Make a webhook configuration with these caBundles."""
    webhooks = [{"name": name, "clientConfig": {"caBundle": bundle}} for bundle in bundles]
    metadata = {"name": "evenkeel"}
    api_version = "admissionregistration.k8s.io/v1"
    return {
        "apiVersion": api_version,
        "kind": "MutatingWebhookConfiguration",
        "metadata": metadata,
        "webhooks": webhooks,
    }


async def test_who_signs_the_control_planes_certificate_stands_in_our_webhook_configuration(tmp_path: Path) -> None:
    """Each CA once, and a change of it alone is followed."""
    encoded = b64encode(CA.encode()).decode()
    source = Source(tmp_path, ORDERS, configuration(encoded, encoded))
    before = source.holder.current.trust
    source.put("services.yaml", ORDERS, configuration(b64encode(b"-----BEGIN CERTIFICATE-----other").decode()))
    await source.files.look()

    assert (CA, "-----BEGIN CERTIFICATE-----other\n") == (before, source.holder.current.trust)


@pytest.mark.parametrize(
    "odd",
    [
        configuration(),
        configuration("no base64", 7, None, b64encode("Zertifikat für".encode()).decode()),
        configuration(b64encode(CA.encode()).decode(), name="inject.example.com"),
        {**configuration(), "webhooks": [None, "x", {"name": "inject.evenkeel.dev", "clientConfig": []}]},
        {**configuration(), "webhooks": 7},
    ],
)
def test_an_odd_webhook_configuration_or_somebody_elses_says_nothing(tmp_path: Path, odd: object) -> None:
    """The Services are there all the same."""
    source = Source(tmp_path, ORDERS, odd)

    assert ("", {"orders"}) == (source.holder.current.trust, source.names())
