from __future__ import annotations

import json

import pytest
import yaml

from tests.cli.kit import KINDS, NAMESPACE, POD, SERVICE, Shell, as_list, workload
from webhook.core import names

INJECTED = "Pod shop/web: injected (1 upstream: orders.shop:50051)"


def pods(text: str) -> list[dict]:
    """Give the pod templates of a stream."""
    found = []
    for document in yaml.safe_load_all(text):
        for obj in document.get("items", [document]):
            part = obj
            for key in KINDS.get(obj["kind"], ("", None))[1] or ():
                part = part[key]
            if obj["kind"] in KINDS:
                found.append(part)
    return found


def has_sidecar(pod: dict) -> bool:
    """Say whether a pod template has container, volume and configuration."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return (
        names.SIDECAR in [one["name"] for one in pod["spec"].get("initContainers") or ()]
        and names.VOLUME in [one["name"] for one in pod["spec"].get("volumes") or ()]
        and {*names.CONFIGURATION, names.STATUS} <= set(annotations)
    )


def test_a_labelled_namespace_of_the_same_input_selects(shell: Shell) -> None:
    """Namespace, Service and Pod in one file: the Pod gets its sidecar, the reason is told."""
    ran = shell.run("inject", "-f", "-", stdin=f"{NAMESPACE}---\n{SERVICE}---\n{POD}")

    assert ran.err == [INJECTED, "evenkeel: 1 injected, 0 skipped, in 3 documents"]
    assert ran.code == 0
    assert has_sidecar(pods(ran.out)[0])


def test_what_is_not_changed_is_copied_byte_for_byte(shell: Shell) -> None:
    """Up to the Pod, and within it, every line stays."""
    before = f"# mine\r\n{NAMESPACE}--- # next\n{SERVICE}  # end\n---\n\n---\n"
    ran = shell.run("inject", "-f", "-", stdin=before + POD)

    assert ran.out.startswith(before + "# calls orders\napiVersion: v1\n")
    assert "  namespace: shop   # ours\n" in ran.out


def test_without_a_label_nothing_is_changed(shell: Shell) -> None:
    """The text is the same, the reason and the way out are told."""
    ran = shell.run("inject", "-f", "-", stdin=POD)

    assert ran == (
        0,
        POD,
        [
            "Pod shop/web: skipped not-selected: neither namespace nor pod has label evenkeel.dev/inject=enabled",
            "evenkeel: 0 injected, 1 skipped, in 1 document; --all injects as if the namespaces were labelled",
        ],
    )


def test_all_injects_as_if_labelled(shell: Shell) -> None:
    """Even where a Namespace says otherwise; a Pod's own word still counts."""
    refusing = NAMESPACE.replace("enabled", "disabled")
    unwilling = POD.replace("name: web\n  n", "name: own\n  labels: {evenkeel.dev/inject: disabled}\n  n")
    ran = shell.run("inject", "--all", "-f", "-", stdin=f"{refusing}---\n{POD}---\n{unwilling}")

    assert ran.err == [
        "Pod shop/web: injected (no upstream yet)",
        "Pod shop/own: skipped disabled: the pod has label evenkeel.dev/inject=disabled",
        "evenkeel: 1 injected, 1 skipped, in 3 documents",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_workload(kind: str, shell: Shell) -> None:
    """Its pod template gets the sidecar, wherever it stands."""
    ran = shell.run("inject", "--all", "-f", "-", stdin=yaml.safe_dump(workload(kind)))

    assert [has_sidecar(pod) for pod in pods(ran.out)] == [True]
    assert ran.err[0] == f"{kind} shop/web: injected (no upstream yet)"


def test_other_kinds_are_left_alone(shell: Shell) -> None:
    """Also those that only look like a workload."""
    text = yaml.safe_dump({**workload("Deployment"), "apiVersion": "example.com/v1"})
    ran = shell.run("inject", "--all", "-f", "-", stdin=text)

    assert ran == (0, text, ["evenkeel: no workload in 1 document"])


def test_a_json_list_stays_one(shell: Shell) -> None:
    """As `kubectl get -o json` gives it: items are injected in place, the rest stays."""
    ran = shell.run("inject", "--all", "-f", "-", stdin=as_list(*map(workload, KINDS)))

    value = json.loads(ran.out)
    assert ran.out == json.dumps(value, indent=4) + "\n"
    assert [True] * len(KINDS) == [has_sidecar(pod) for pod in pods(ran.out)]


def test_files_and_folders_become_one_stream(shell: Shell) -> None:
    """In the order given; a missing final line break or `---` joins nothing."""
    shell.write("a/namespace.yaml", NAMESPACE.rstrip("\n"))
    shell.write("a/pod.json", json.dumps(workload("Pod")))
    shell.write("b.yaml", "\ufeff# licence\n---\n" + SERVICE)
    shell.write("c.yaml", "%YAML 1.1\n---\n" + SERVICE.replace("orders", "stock"))
    ran = shell.run("inject", "-f", "a", "-f", "b.yaml", "-f", "c.yaml")

    assert [one["kind"] for one in yaml.safe_load_all(ran.out)] == ["Namespace", "Pod", "Service", "Service"]
    assert ran.err[0].startswith("Pod shop/web: injected (2 upstreams: orders.shop:50051, stock.shop:50051)")


def test_a_file_given_twice_is_written_twice(shell: Shell) -> None:
    """What was asked for; still as two documents."""
    shell.write("a.yaml", SERVICE)

    assert shell.run("inject", "-f", "a.yaml", "-f", "a.yaml").out == f"{SERVICE}---\n{SERVICE}"


def test_a_json_file_first_does_not_make_the_stream_json(shell: Shell) -> None:
    """Readers guess from the first character."""
    shell.write("a.json", json.dumps(workload("Pod")))
    shell.write("b.yaml", SERVICE)
    ran = shell.run("inject", "-f", "a.json", "-f", "b.yaml")

    assert ran.out == f"---\n{json.dumps(workload('Pod'))}\n---\n{SERVICE}"


def test_the_catalog_is_read_and_not_written(shell: Shell) -> None:
    """Its Services and Namespaces count, its workloads are nobody's to change."""
    shell.write("services.yaml", f"{NAMESPACE}---\n{SERVICE}---\n{POD.replace('name: web', 'name: other')}")
    shell.write("pod.yaml", POD)
    ran = shell.run("inject", "-f", "pod.yaml", "--catalog", "services.yaml")

    assert ran.err == [INJECTED, "evenkeel: 1 injected, 0 skipped, in 1 document"]
    assert len(pods(ran.out)) == 1


def test_a_file_may_be_input_and_catalog(shell: Shell) -> None:
    """Its Services are not twice there."""
    shell.write("app/all.yaml", f"{SERVICE}---\n{POD}")
    ran = shell.run("inject", "--all", "-f", "app/all.yaml", "--catalog", "app")

    assert ran.err == [INJECTED, "evenkeel: 1 injected, 0 skipped, in 2 documents"]


def test_objects_without_a_namespace_are_in_the_given_one(shell: Shell) -> None:
    """Pods and Services alike; without the option it is `default`."""
    text = f"{SERVICE}---\n{POD}".replace(", namespace: shop", "").replace("  namespace: shop   # ours\n", "")
    given = shell.run("inject", "--all", "-n", "shop", "-f", "-", stdin=text)
    default = shell.run("inject", "--all", "-f", "-", stdin=text)

    assert given.err[0] == INJECTED
    assert default.err[0] == "Pod default/web: injected (1 upstream: orders.default:50051)"


def test_injecting_twice_changes_nothing(shell: Shell) -> None:
    """The second time every byte stays."""
    text = f"{NAMESPACE}---\n{SERVICE}---\n{POD}---\n{yaml.safe_dump(workload('CronJob'))}"
    once = shell.run("inject", "-f", "-", stdin=text)
    twice = shell.run("inject", "-f", "-", stdin=once.out)

    assert once.out == twice.out
    assert twice.err[-1] == "evenkeel: 0 injected, 2 skipped, in 4 documents"
    assert twice.err[0].startswith("Pod shop/web: skipped already-injected: ")


def test_a_sidecar_without_its_configuration_is_rendered_again(shell: Shell) -> None:
    """As in what `kubectl debug --copy-to` makes."""
    once = shell.run("inject", "--all", "-f", "-", stdin=yaml.safe_dump(workload("Pod")))
    copy = yaml.safe_load(once.out)
    del copy["metadata"]["annotations"]
    copy["spec"]["initContainers"][0]["image"] = "docker.io/envoyproxy/envoy:old"
    again = shell.run("inject", "--all", "-f", "-", stdin=yaml.safe_dump(copy))

    assert yaml.safe_load(once.out) == yaml.safe_load(again.out)


def test_warnings_stand_with_their_workload_and_catalog_problems_once(shell: Shell) -> None:
    """What is odd is told; it stops nothing."""
    odd = POD.replace("metadata:\n", "metadata:\n  annotations: {evenkeel.dev/upstraems: orders}\n")
    bad = SERVICE.replace("metadata: {", "metadata: {annotations: {evenkeel.dev/retry: often}, ")
    ran = shell.run("inject", "--all", "-f", "-", stdin=f"{bad}---\n{odd}---\n{odd.replace('name: web', 'name: b')}")

    assert ran.code == 0
    assert sum(line.startswith("Service shop/orders: warning: annotation evenkeel.dev/retry") for line in ran.err) == 1
    assert ran.err[1] == INJECTED
    assert ran.err[2].startswith("Pod shop/web: warning: ")
    assert "evenkeel.dev/upstreams" in ran.err[2]


def test_every_problem_is_told_and_nothing_written(shell: Shell) -> None:
    """Half an application is never applied."""
    rejected = POD.replace("metadata:\n", "metadata:\n  annotations: {evenkeel.dev/app-port: x, evenkeel.dev/rty: q}\n")
    shapeless = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n"
    empty = "apiVersion: v1\nkind: Pod\nmetadata: {name: e}\nspec: {containers: []}\n"
    ran = shell.run("inject", "--all", "-f", "-", stdin=f"{POD}---\n{rejected}---\n{shapeless}---\n{empty}")

    told = [line for line in ran.err if line.startswith("evenkeel: ")]
    assert (ran.code, ran.out) == (1, "")
    assert told == [
        (
            "evenkeel: <stdin>: document 2, line 13: Pod shop/web: annotation evenkeel.dev/app-port: found 'x'; "
            "accepted: a port number from 1 to 65535"
        ),
        (
            "evenkeel: <stdin>: document 3, line 24: Deployment default/d: spec.template: found nothing, expected an "
            "object"
        ),
        (
            "evenkeel: <stdin>: document 4, line 29: Pod default/e: spec.containers: found none, expected at least one "
            "container"
        ),
        "evenkeel: 3 problems, nothing is written",
    ]


def test_a_broken_file_is_told_with_document_and_line(shell: Shell) -> None:
    """Of input and catalog together."""
    shell.write("a.yaml", f"{SERVICE}---\na: b: c\n")
    shell.write("b.yaml", "kind: Pod\n")
    ran = shell.run("inject", "-f", "a.yaml", "--catalog", "b.yaml")

    assert (ran.code, ran.out, len(ran.err)) == (1, "", 2)
    assert ran.err[0].startswith("evenkeel: a.yaml: document 2, line 9: found a ':' where no key can stand; expected ")
    assert ran.err[1].startswith("evenkeel: b.yaml: document 1, line 1: found no apiVersion; expected ")


def test_strict_fails_where_a_wanted_sidecar_cannot_be(shell: Shell) -> None:
    """Nothing is written then; without it the skip is only told."""
    text = yaml.safe_dump(workload("Deployment", hostNetwork=True))
    lax = shell.run("inject", "--all", "-f", "-", stdin=text)
    strict = shell.run("inject", "--all", "--strict", "-f", "-", stdin=text)

    assert (lax.code, lax.out) == (0, text)
    assert lax.err[0].startswith("Deployment shop/web: skipped host-network: spec.hostNetwork is true")
    assert (strict.code, strict.out) == (1, "")
    assert (
        "evenkeel: <stdin>: document 1, line 1: Deployment shop/web: gets no sidecar (host-network), and --strict "
        "asks for one"
    ) in strict.err


def test_strict_accepts_what_authors_asked_for(shell: Shell) -> None:
    """Disabled, not selected and already injected are their word."""
    disabled = POD.replace("name: web\n  n", "name: own\n  labels: {evenkeel.dev/inject: disabled}\n  n")
    once = shell.run("inject", "--all", "-f", "-", stdin=yaml.safe_dump(workload("Job")))

    assert shell.run("inject", "--strict", "-f", "-", stdin=f"{POD}---\n{disabled}---\n{once.out}").code == 0


def test_standard_input_is_read_once(shell: Shell) -> None:
    """The second reader would find nothing."""
    ran = shell.run("inject", "-f", "-", "--catalog", "-")

    assert ran == (1, "", ["evenkeel: found - more than once; expected standard input to be read once"])


def test_a_document_with_shared_parts_is_written_anew(shell: Shell) -> None:
    """Right, and told, since its comments are gone."""
    text = "apiVersion: v1\nkind: Pod\nmetadata: &m {name: web}\nspec:\n  containers:\n  - name: web # x\nx-copy: *m\n"
    ran = shell.run("inject", "--all", "-f", "-", stdin=text)

    assert "warning: written anew, without its comments" in ran.err[1]
    assert has_sidecar(yaml.safe_load(ran.out))


def test_settings_and_templates_of_the_operator_count(shell: Shell) -> None:
    """The command line gives what the webhook would."""
    shell.write("settings.yaml", "sidecar: {image: registry.example/envoy:v9}\n")
    ran = shell.run("inject", "--all", "-f", "-", "--settings", "settings.yaml", stdin=POD)
    bad = shell.run("inject", "--all", "-f", "-", "--templates", "nowhere", stdin=POD)

    assert "image: registry.example/envoy:v9" in ran.out
    assert (bad.code, bad.out) == (2, "")
    assert "nowhere" in bad.err[0]
