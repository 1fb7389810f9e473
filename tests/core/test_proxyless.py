"""A Pod without a sidecar whose gRPC libraries ask the control plane themselves."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings

from tests import builders
from tests.core import strategies
from tests.core.qos import qos_class
from tests.core.restricted import violations
from webhook.core import names
from webhook.core.eject import eject
from webhook.core.errors import PodRejected
from webhook.core.model import SidecarSettings
from webhook.core.outcome import Outcome, SkipReason
from webhook.core.patch import pointer
from webhook.core.pod import read_pod
from webhook.core.proxyless import (
    BOOTSTRAP,
    BOOTSTRAP_FILE,
    CALL_CREDENTIALS,
    POD_NAME,
    POD_NAMESPACE,
    admit_proxyless,
    bootstrap,
    is_proxyless,
    proxyless_paths,
    refresh_proxyless,
)

PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
SETTINGS = SidecarSettings()
OURS = [POD_NAME, POD_NAMESPACE, CALL_CREDENTIALS, BOOTSTRAP]
THEIRS = {"name": BOOTSTRAP, "value": '{"xds_servers":[]}'}


def admit(document: Any, trust: str = PEM, chosen: SidecarSettings = SETTINGS) -> Outcome:
    """Admit a Pod, which must stay as it is."""
    before = copy.deepcopy(document)
    outcome = admit_proxyless(read_pod(document, "shop"), chosen, trust)
    assert document == before
    return outcome


def applied(document: Any, operations: Any) -> Any:
    """Apply operations by a library that is not ours."""
    # By way of text, so that no two parts are one object, as in what hypothesis gives.
    return jsonpatch.apply_patch(json.loads(json.dumps(document)), json.loads(json.dumps(operations)))


def given_it(document: Any, **more: Any) -> Any:
    """Give the Pod as it becomes."""
    return applied(document, admit(document, **more).operations)


def taken_back(document: Any) -> Any:
    """Take out everything of ours again."""
    without = applied(document, eject(read_pod(document, "shop")))
    return applied(without, [{"op": "remove", "path": pointer(*path)} for path in ours_left(without)])


def ours_left(document: Any) -> list[tuple[str | int, ...]]:
    """Give the paths that are ours in containers and volumes."""
    return list(proxyless_paths(read_pod(document, "shop")))


def variables(container: Any) -> dict[str, Any]:
    """Give a container's variables by name."""
    return {entry["name"]: entry for entry in container["env"]}


def test_containers_and_init_containers_get_the_bootstrap_and_its_files() -> None:
    """Four variables in this order, since the last refers to the first two, and a mount."""
    document = builders.pod(
        containers=[builders.container("app", env=[{"name": "A", "value": "1"}]), builders.container("helper")],
        initContainers=[builders.container("migrate")],
    )

    spec = given_it(document)["spec"]

    assert [[entry["name"] for entry in each["env"]] for each in (*spec["initContainers"], *spec["containers"])] == [
        OURS,
        ["A", *OURS],
        OURS,
    ]
    assert [each["volumeMounts"] for each in (*spec["initContainers"], *spec["containers"])] == [
        [{"name": "evenkeel-config", "mountPath": "/etc/evenkeel", "readOnly": True}]
    ] * 3


def test_the_bootstrap_names_a_server_that_is_verified_and_a_token_that_is_read() -> None:
    """Nothing but TLS is offered; what gRPC makes of it is shown in tests/e2e."""
    value = given_it(builders.pod())["spec"]["containers"][0]["env"][-1]["value"]

    assert json.loads(value) == {
        "xds_servers": [
            {
                "server_uri": "dns:///evenkeel-xds.evenkeel-system.svc:18000",
                "channel_creds": [
                    {
                        "type": "tls",
                        "config": {"ca_certificate_file": "/etc/evenkeel/ca.pem", "refresh_interval": "60s"},
                    }
                ],
                "call_creds": [{"type": "jwt_token_file", "config": {"jwt_token_file": "/etc/evenkeel/token"}}],
                "server_features": ["xds_v3"],
            }
        ],
        "node": {"id": "$(EVENKEEL_POD_NAME).$(EVENKEEL_POD_NAMESPACE)"},
    }


def test_the_server_is_the_one_of_the_settings() -> None:
    """Its Service, our namespace and its port."""
    chosen = SidecarSettings(own_namespace="balance", xds_service="push", xds_port=443)

    assert '"server_uri":"dns:///push.balance.svc:443"' in bootstrap(chosen)


def test_the_volume_projects_the_authorities_and_a_token() -> None:
    """From our annotation, and for our audience only."""
    after = given_it(builders.pod())

    [volume] = after["spec"]["volumes"]
    authorities, token = volume["projected"]["sources"]
    assert volume["name"] == "evenkeel-config"
    assert authorities["downwardAPI"]["items"] == [
        {
            "path": "ca.pem",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['evenkeel.dev/trust']"},
        }
    ]
    assert token["serviceAccountToken"] == {"audience": "evenkeel-xds", "expirationSeconds": 3600, "path": "token"}
    assert after["metadata"]["annotations"] == {names.TRUST: PEM}
    assert after["metadata"]["labels"][names.INJECTED] == names.INJECTED_VALUE


@pytest.mark.parametrize("own", [THEIRS, {"name": BOOTSTRAP_FILE, "value": "/etc/xds.json"}], ids=["text", "file"])
def test_a_container_with_a_bootstrap_of_its_own_keeps_it(own: Any) -> None:
    """And sees no token of ours; the others get theirs."""
    chosen = builders.container("chosen", env=[own])

    spec = given_it(builders.pod(containers=[chosen, builders.container("app")]))["spec"]

    assert spec["containers"][0] == chosen
    assert BOOTSTRAP in variables(spec["containers"][1])


def test_where_every_container_has_its_own_nothing_is_done() -> None:
    """No volume that nobody mounts."""
    outcome = admit(builders.pod(containers=[builders.container(env=[THEIRS])]))

    assert outcome.skip is not None
    assert (outcome.skip.reason, outcome.operations) == (SkipReason.ALREADY_INJECTED, ())


def test_a_switch_of_the_author_s_is_left_alone() -> None:
    """Whatever it says, and it stays when ours is taken out."""
    document = builders.pod(containers=[builders.container(env=[{"name": CALL_CREDENTIALS, "value": "false"}])])

    after = given_it(document)

    assert [entry["name"] for entry in after["spec"]["containers"][0]["env"]] == [
        CALL_CREDENTIALS,
        POD_NAME,
        POD_NAMESPACE,
        BOOTSTRAP,
    ]
    assert taken_back(after) == document


@pytest.mark.parametrize(
    "path", ["/etc/evenkeel", "/etc/evenkeel/", "//etc/./evenkeel", "/etc/evenkeel/a", "/etc", "/"]
)
def test_a_container_that_mounts_something_there_stays_as_it_is(path: str) -> None:
    """At the folder the API server would refuse the Pod, in or around it the container might not start."""
    mounted = builders.container(volumeMounts=[{"name": "data", "mountPath": path}])

    outcome = admit(builders.pod(containers=[mounted, builders.container("helper")]))

    assert outcome.injected
    [warning] = outcome.warnings
    assert warning.startswith(f"container 'app' gets no {BOOTSTRAP}: it mounts a volume at {path}, and the files")
    assert not [each for each in outcome.operations if each["path"].startswith("/spec/containers/0")]


def test_a_mount_beside_the_folder_is_no_matter() -> None:
    """`/etc/evenkeel2` only looks like it."""
    mounted = builders.container(volumeMounts=[{"name": "data", "mountPath": "/etc/evenkeel2"}])

    outcome = admit(builders.pod(containers=[mounted]))

    assert (outcome.warnings, outcome.injected) == ((), True)


@pytest.mark.parametrize(
    ("env", "proxy"),
    [
        ({"https_proxy": "http://proxy:3128"}, "https_proxy"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "localhost,.svc.cluster.local"}, "http_proxy"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "localhost, .svc"}, None),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "evenkeel-xds.evenkeel-system.svc"}, None),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "*"}, None),
        ({"https_proxy": ""}, None),
    ],
)
def test_a_proxy_that_the_control_plane_would_be_dialled_through_is_warned_about(env: Any, proxy: str | None) -> None:
    """The name that is dialled ends with .svc."""
    container = builders.container(env=[{"name": name, "value": value} for name, value in env.items()])

    warnings = admit(builders.pod(containers=[container])).warnings

    assert [f"container 'app' sets {proxy}: gRPC would dial the control plane through it"] * bool(proxy) == [
        warning.partition(";")[0] for warning in warnings
    ]


def test_without_a_known_authority_the_pod_stays_as_it_is() -> None:
    """A token is never sent to somebody unknown, and the Pod's author hears why."""
    outcome = admit(builders.pod(), trust="")

    assert outcome.skip is not None
    assert (outcome.skip.reason, outcome.operations) == (SkipReason.NO_TRUST, ())
    assert outcome.warnings == (f"annotation {names.MODE}: the pod stays as it is: {outcome.skip.detail}",)


def test_annotations_that_are_full_leave_the_pod_as_it_is() -> None:
    """Kubernetes allows 256 KiB of them in all."""
    outcome = admit(builders.pod(annotations={"a": "x" * (256 * 1024 - 100)}), trust="y" * 200)

    assert outcome.skip is not None
    assert outcome.skip.reason is SkipReason.ANNOTATIONS_FULL


@pytest.mark.parametrize(
    "volume",
    [{"name": names.VOLUME, "emptyDir": {}}, {"name": names.VOLUME, "projected": {"sources": None}}],
    ids=["another kind", "of our kind"],
)
def test_a_volume_of_our_name_is_the_authors_to_mend(volume: Any) -> None:
    """We cannot mount ours beside it."""
    with pytest.raises(PodRejected, match=r"spec.volumes: the name 'evenkeel-config' is ours"):
        admit(builders.pod(volumes=[volume]))


def test_a_new_authority_and_new_settings_reach_a_pod_that_is_admitted_again() -> None:
    """As a copy of a Pod is."""
    document = given_it(builders.pod())

    outcome = admit(document, trust="another", chosen=SidecarSettings(xds_port=443))

    assert [each["path"] for each in outcome.operations] == [
        "/spec/containers/0/env/3/value",
        "/metadata/annotations/evenkeel.dev~1trust",
    ]


def test_a_container_that_somebody_added_later_is_given_its_own() -> None:
    """Another webhook may come after ours; the API server then asks once more."""
    document = given_it(builders.pod())
    document["spec"]["containers"].append(builders.container("late"))

    outcome = admit(document)

    assert {each["path"] for each in outcome.operations} == {
        "/spec/containers/1/env",
        "/spec/containers/1/env/-",
        "/spec/containers/1/volumeMounts",
        "/spec/containers/1/volumeMounts/-",
    }


def test_a_live_pod_is_told_of_new_authorities_only_if_there_are_some() -> None:
    """What it trusts stays while nobody knows better."""
    assert (refresh_proxyless(PEM), refresh_proxyless("")) == ({names.TRUST: PEM}, {})


@pytest.mark.parametrize(
    "resources",
    [None, {"limits": {"cpu": 1, "memory": "1Gi"}}, {"requests": {"cpu": "100m"}}],
    ids=["BestEffort", "Guaranteed", "Burstable"],
)
@pytest.mark.parametrize("whole", [None, {"limits": {"cpu": "1", "memory": "1Gi"}}], ids=["", "pod-level resources"])
def test_the_qos_class_is_kept(resources: Any, whole: Any) -> None:
    """Nothing of ours runs in such a Pod."""
    document = builders.pod(containers=[builders.container(resources=resources)], resources=whole)

    assert qos_class(given_it(document)) == qos_class(document)


def test_pod_security_restricted_allows_what_it_allowed() -> None:
    """A projected volume is one of the kinds that it knows, and no container gets another right."""
    before = builders.pod()["spec"]
    after = given_it(builders.pod())["spec"]

    assert violations(after, after["containers"][0], after["volumes"][0]) == violations(
        before, before["containers"][0], {"name": "none"}
    )


@given(strategies.pods())
@settings(max_examples=150)
def test_any_pod_is_given_it_once_and_comes_back(document: Any) -> None:
    """With nulls, empty parts and odd variables; null and empty count as absent."""
    try:
        after = given_it(document)
    except PodRejected:
        return
    again = admit(after)

    assert again.skip is not None
    assert (again.skip.reason, again.operations) == (SkipReason.ALREADY_INJECTED, ())
    assert plain(taken_back(after)) == plain(taken_back(document))
    assert ours_left(taken_back(after)) == []


def test_what_never_was_given_anything_has_nothing_to_take_out() -> None:
    """Not even variables that only bear our names."""
    document = builders.pod(containers=[builders.container(env=[{"name": POD_NAME, "value": "x"}, THEIRS])])

    assert ours_left(document) == []
    assert not is_proxyless(read_pod(document, "shop"))
    assert is_proxyless(read_pod(given_it(builders.pod()), "shop"))


def plain(node: Any) -> Any:
    """Give a document without what is null or empty."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if plain(value) not in (None, {}, [])}
    return [plain(each) for each in node] if isinstance(node, list) else node
