"""Others that change or judge Pods: webhooks before and after ours, Pod Security, ResourceQuota and LimitRange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.cluster.kit.calls import answers
from tests.cluster.kit.install import injected, pod, until
from tests.cluster.kit.other_webhook import Edit, Neighbour, neighbour
from tests.cluster.kit.rest import RestError
from tests.cluster.kit.rest import until as rest_until
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

BEFORE, AFTER = "aaa-neighbour", "zzz-neighbour"
"""Configurations of webhooks are called in the order of their names; ours is `evenkeel`."""
PROXY = {"name": "http_proxy", "value": "http://proxy.example.com:3128"}
PROXIED = (
    "evenkeel: container 'other' sets http_proxy: gRPC would dial localhost through it; "
    "add localhost,127.0.0.1 to no_proxy"
)
FIRST = {"injected selected": 1}
TWICE = {**FIRST, "skipped already-injected": 1}


def adds_containers(document: Any) -> list[Any]:
    """Add a container and an init container, each in front, once; a label as well."""
    if any(one["name"] == "other" for one in document["spec"]["containers"]):
        return []
    other = {**pod()["spec"]["containers"][0], "name": "other", "env": [PROXY], "ports": [{"containerPort": 8443}]}
    init = {**pod()["spec"]["containers"][0], "name": "other-init"}
    has_inits = "initContainers" in document["spec"]
    return [
        {"op": "add", "path": "/spec/containers/0", "value": other},
        {
            "op": "add",
            "path": "/spec/initContainers" + ("/0" if has_inits else ""),
            "value": init if has_inits else [init],
        },
        {"op": "add", "path": "/metadata/labels", "value": {**document["metadata"].get("labels", {}), "by": "other"}},
    ]


def takes_our_port(document: Any) -> list[Any]:
    """Declare the sidecar's port for the app's container."""
    ports = [{"containerPort": 15001}]
    return [{"op": "add", "path": "/spec/containers/0/ports", "value": ports}]


def takes_our_annotations(document: Any) -> list[Any]:
    """Take away what Envoy reads, and leave the sidecar."""
    kept = {key: text for key, text in document["metadata"]["annotations"].items() if key not in names.WRITTEN}
    return [{"op": "replace", "path": "/metadata/annotations", "value": kept}]


def takes_our_volume(document: Any) -> list[Any]:
    """Take away the volume that the sidecar mounts."""
    kept = [one for one in document["spec"]["volumes"] if one["name"] != names.VOLUME]
    return [{"op": "replace", "path": "/spec/volumes", "value": kept}]


def takes_our_container(document: Any) -> list[Any]:
    """Take away the sidecar itself."""
    return [{"op": "remove", "path": "/spec/initContainers"}]


async def test_one_before_us_is_built_upon(world, evenkeel) -> None:
    """What it added counts: the sidecar stands before its init container, its container is warned about."""
    async with _with(world, "before", BEFORE, adds_containers) as (other, where), answers(evenkeel) as given:
        created, warnings = await _create(world, where)

    assert given == FIRST
    assert _inits(created) == [names.SIDECAR, "other-init"]
    assert [one["name"] for one in created["spec"]["containers"]] == ["other", "app"]
    assert created["metadata"]["labels"] == {"by": "other", names.INJECTED: names.INJECTED_VALUE}
    assert warnings == (PROXIED,)
    assert len(other.seen) == 1


async def test_one_after_us_has_us_look_again(world, evenkeel) -> None:
    """And find that all is there: one sidecar, and the other's init container where the other put it."""
    async with _with(world, "after", AFTER, adds_containers) as (other, where), answers(evenkeel) as given:
        created, warnings = await _create(world, where)

    assert given == TWICE
    assert _inits(created) == ["other-init", names.SIDECAR]
    assert created["metadata"]["labels"] == {"by": "other", names.INJECTED: names.INJECTED_VALUE}
    assert warnings == ()
    assert [_inits(one) for one in other.seen] == [[names.SIDECAR]]


@pytest.mark.parametrize("name", [BEFORE, AFTER])
async def test_two_that_want_to_look_again_come_to_rest(world, evenkeel, name) -> None:
    """Each is asked again because of the other, and neither has anything to add."""
    where = "rest-before" if name == BEFORE else "rest-after"
    async with _with(world, where, name, adds_containers, reinvocation="IfNeeded") as (other, namespace):
        created, _ = await _create(world, namespace)

    assert sorted(_inits(created)) == [names.SIDECAR, "other-init"]
    assert len(other.seen) == (2 if name == BEFORE else 1)


async def test_one_before_us_that_takes_our_port_gets_a_bare_pod(world, evenkeel) -> None:
    """Its author hears why."""
    async with _with(world, "port-before", BEFORE, takes_our_port) as (_, where), answers(evenkeel) as given:
        created, warnings = await _create(world, where)

    assert given == {"skipped port-conflict": 1}
    assert not injected(created)
    assert warnings[0] == (
        "evenkeel: no sidecar (port-conflict): container 'app' declares port 15001, which the sidecar binds"
    )


@pytest.mark.parametrize("edit", [takes_our_annotations, takes_our_volume, takes_our_container])
async def test_one_that_takes_something_of_ours_away_is_mended(world, evenkeel, edit) -> None:
    """The second look puts it back, as it was; who is asked anew for a whole sidecar may make it another user."""
    where = edit.__name__.replace("_", "-")
    async with _with(world, where, AFTER, edit) as (other, namespace), answers(evenkeel) as given:
        created, warnings = await _create(world, namespace)

    (before,) = other.seen
    assert given == {"injected selected": 2}
    assert created["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert created["spec"]["volumes"] == before["spec"]["volumes"]
    mended, wanted = _without_defaults(created), _without_defaults(before)
    if edit is takes_our_container:
        users = [each["securityContext"].pop("runAsUser") for each in (mended, wanted)]
        assert all(user in range(10_101, 10_165) for user in users)
    assert mended == wanted
    assert warnings == ()


async def test_pod_security_restricted_lets_injected_pods_in(world, evenkeel) -> None:
    """Without a word."""
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    await world.namespace("neighbours-restricted", {names.INJECT: "enabled", **modes})

    created, warnings = await _create(world, "neighbours-restricted")

    assert injected(created)
    assert warnings == ()


async def test_a_quota_counts_the_sidecar(world, evenkeel) -> None:
    """As many Pods as fit with it; then the quota speaks for itself, with the right sums."""
    where = "neighbours-quota"
    hard = {"requests.cpu": "300m", "limits.cpu": "5", "requests.memory": "1Gi", "limits.memory": "2Gi", "pods": "5"}
    await world.namespace(where, {names.INJECT: "enabled"})
    await _quota(world, where, hard)

    for number in range(2):
        await _create(world, where, name=f"fits-{number}", cpu="100m", dry_run=False)
    with pytest.raises(RestError) as refused:
        await _create(world, where, name="one-more", cpu="100m", dry_run=False)

    used = await _used(world, where)
    assert used == {
        "requests.cpu": "300m",
        "limits.cpu": "4400m",
        "requests.memory": "320Mi",
        "limits.memory": "1280Mi",
        "pods": "2",
    }
    assert (refused.value.status, refused.value.message) == (
        403,
        (
            'pods "one-more" is forbidden: exceeded quota: all, '
            "requested: limits.cpu=2200m,requests.cpu=150m, used: limits.cpu=4400m,requests.cpu=300m, "
            "limited: limits.cpu=5,requests.cpu=300m"
        ),
    )


async def test_a_limit_range_s_defaults_are_the_app_s_and_not_ours(world, evenkeel) -> None:
    """The sidecar brings requests and limits of its own."""
    default = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "10m"}}
    await world.namespace("neighbours-defaults", {names.INJECT: "enabled"})
    await _limit_range(world, "neighbours-defaults", default)

    created, warnings = await _create(world, "neighbours-defaults")

    assert created["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert created["spec"]["initContainers"][0]["resources"] == {
        "requests": {"cpu": "50m", "memory": "96Mi"},
        "limits": {"cpu": "2", "memory": "512Mi"},
    }
    assert warnings == ()


async def test_a_limit_range_that_is_too_narrow_speaks_for_itself(world, evenkeel) -> None:
    """And annotations of ours make the sidecar fit."""
    narrow = {"type": "Container", "max": {"cpu": "1", "memory": "256Mi"}, "min": {"memory": "8Mi"}}
    await world.namespace("neighbours-narrow", {names.INJECT: "enabled"})
    await _limit_range(world, "neighbours-narrow", narrow)
    fitting = {names.PROXY_CPU_LIMIT: "1", names.PROXY_MEMORY_LIMIT: "128Mi"}

    with pytest.raises(RestError) as refused:
        await _create(world, "neighbours-narrow", cpu="100m")
    created, _ = await _create(world, "neighbours-narrow", cpu="100m", annotations=fitting)

    cpu = "maximum cpu usage per Container is 1, but limit is 2"
    memory = "maximum memory usage per Container is 256Mi, but limit is 512Mi"
    # The API server walks a map of resources: it names them in either order.
    either = [f'pods "some" is forbidden: [{one}, {other}]' for one, other in ((cpu, memory), (memory, cpu))]
    assert refused.value.status == 403
    assert refused.value.message in either
    assert created["spec"]["initContainers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "128Mi"}


@asynccontextmanager
async def _with(
    world: Any, word: str, name: str, edit: Edit, *, reinvocation: str = "Never"
) -> AsyncIterator[tuple[Neighbour, str]]:
    """Have a labelled namespace with a neighbour that is called there."""
    namespace = f"neighbours-{word}"
    await world.namespace(namespace, {names.INJECT: "enabled"})
    async with neighbour(world, name, namespace, edit, reinvocation=reinvocation) as other:

        async def called() -> bool:
            await _create(world, namespace)
            return bool(other.seen)

        await until(called, "called")
        other.seen.clear()
        yield other, namespace


async def _create(
    world: Any, namespace: str, *, cpu: str = "", dry_run: bool = True, **metadata: Any
) -> tuple[Any, tuple[str, ...]]:
    """Create a Pod that gets no token, for which the API server would have everybody look again."""
    document = pod(**metadata)
    document["spec"]["automountServiceAccountToken"] = False
    if cpu:
        # Burstable: of a Guaranteed Pod the sidecar would be one as well, with other amounts.
        resources = {"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
        document["spec"]["containers"][0]["resources"] = resources
    found: tuple[Any, tuple[str, ...]]
    params = {"dryRun": "All"} if dry_run else {}
    found = await world.rest.post_with_warnings(f"/api/v1/namespaces/{namespace}/pods", document, **params)
    return found


def _inits(document: Any) -> list[str]:
    return [one["name"] for one in document["spec"].get("initContainers") or ()]


def _without_defaults(document: Any) -> Any:
    """Give the sidecar but for what the API server fills in later."""
    (sidecar,) = (one for one in document["spec"]["initContainers"] if one["name"] == names.SIDECAR)
    return {key: value for key, value in sidecar.items() if not key.startswith("terminationMessage")}


async def _quota(world: Any, namespace: str, hard: dict[str, str]) -> None:
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    document = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all"}, "spec": {"hard": hard}}
    await world.rest.post(path, document)
    await rest_until(world.rest, f"{path}/all", lambda one: set(one.get("status", {}).get("used") or ()) == set(hard))


async def _used(world: Any, namespace: str) -> Any:
    return (await world.rest.get(f"/api/v1/namespaces/{namespace}/resourcequotas/all"))["status"]["used"]


async def _limit_range(world: Any, namespace: str, limit: dict[str, Any]) -> None:
    """Have a LimitRange, and wait until the API server goes by it."""
    document = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "all"}, "spec": {"limits": [limit]}}
    path = f"/api/v1/namespaces/{namespace}"
    await world.rest.post(f"{path}/limitranges", document)

    async def felt() -> bool:
        try:
            created = await world.rest.post(f"{path}/pods", pod(labels={names.INJECT: "disabled"}), dryRun="All")
        except RestError:
            return True
        return bool(created["spec"]["containers"][0].get("resources"))

    await until(felt, "limited")
