"""What the API server gets for Pods: patches, skips and refusals."""

from __future__ import annotations

import jsonpatch
import pytest

from tests import builders
from tests.server.kit import Raises, Webhook, logs, patch, response
from webhook.core.errors import PodRejected
from webhook.core.outcome import Outcome


async def test_a_pod_is_answered_with_a_patch_that_applies() -> None:
    """The patch is a JSONPatch, in base64, that puts the sidecar into the Pod that was sent."""
    pod = builders.pod()

    answer = await Webhook().post(builders.review(pod))

    injected = jsonpatch.apply_patch(pod, patch(answer))
    assert (200, "JSONPatch") == (answer.status_code, response(answer)["patchType"])
    assert "evenkeel-proxy" == injected["spec"]["initContainers"][0]["name"]


async def test_the_answer_is_a_review_of_the_same_version_and_uid() -> None:
    """Kind, version and uid are those that were asked with: without them the API server drops the answer."""
    answer = await Webhook().post(builders.review(builders.pod(), uid="a-b-c"))

    body = answer.json()
    assert ("AdmissionReview", "admission.k8s.io/v1") == (body["kind"], body["apiVersion"])
    assert ("a-b-c", True) == (body["response"]["uid"], body["response"]["allowed"])


async def test_audit_annotations_carry_result_and_reason() -> None:
    """An injected Pod's audit says so, and how many upstreams it sees."""
    answer = await Webhook().post(builders.review(builders.pod()))

    assert {"result": "injected", "reason": "selected", "upstreams": "2"} == response(answer)["auditAnnotations"]


async def test_a_dry_run_gets_the_same_answer() -> None:
    """Nothing is written at admission, so there is nothing to leave out."""
    real = await Webhook().post(builders.review(builders.pod()))
    dry = await Webhook().post(builders.review(builders.pod(), dryRun=True))

    assert real.content == dry.content


async def test_a_second_pass_through_the_handler_is_a_skip() -> None:
    """What was injected is sent again, and gets no patch."""
    pod = builders.pod()
    first = await Webhook().post(builders.review(pod))
    injected = jsonpatch.apply_patch(pod, patch(first))

    second = await Webhook().post(builders.review(injected))

    assert {"result": "skipped", "reason": "already-injected"} == response(second)["auditAnnotations"]
    assert "patch" not in response(second)


async def test_a_skip_is_allowed_without_a_patch_and_says_why() -> None:
    """The reason's code is in the audit, and in the warning where somebody may wonder."""
    answer = await Webhook().post(builders.review(builders.pod(hostNetwork=True)))

    found = response(answer)
    assert (True, "host-network") == (found["allowed"], found["auditAnnotations"]["reason"])
    assert "patch" not in found
    assert "patchType" not in found
    assert found["warnings"][0].startswith("evenkeel: no sidecar (host-network): ")


@pytest.mark.parametrize(
    "request_fields",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"operation": "CONNECT", "object": None},
        {"subResource": "ephemeralcontainers"},
        {"subResource": "binding", "kind": {"group": "", "version": "v1", "kind": "Binding"}},
    ],
)
async def test_only_the_creation_of_a_pod_is_changed(request_fields: dict[str, object]) -> None:
    """Anything else is allowed as it is, whatever the registration says."""
    answer = await Webhook().post(builders.review(builders.pod(), **request_fields))

    expected = {"result": "skipped", "reason": "not-create"}
    assert (True, expected) == (response(answer)["allowed"], response(answer)["auditAnnotations"])


async def test_a_rejected_pod_is_told_every_problem() -> None:
    """The API server shows the message to whoever made the Pod."""
    bad = {"evenkeel.dev/app-port": "0", "evenkeel.dev/proxy-log-level": "loud"}

    answer = await Webhook().post(builders.review(builders.pod(annotations=bad)))

    found = response(answer)
    assert (200, False, 422, "Invalid") == (
        answer.status_code,
        found["allowed"],
        found["status"]["code"],
        found["status"]["reason"],
    )
    assert all(key in found["status"]["message"] for key in bad)
    assert "patch" not in found


async def test_a_rejection_of_many_problems_is_bounded() -> None:
    """The message stays below 4 KiB and says how many there are."""
    problems = [f"problem {number} " + "ü" * 100 for number in range(500)]

    answer = await Webhook(admitter=Raises(PodRejected(problems))).post(builders.review(builders.pod()))

    message = response(answer)["status"]["message"]
    assert len(message.encode()) <= 4096
    assert message.endswith("... (500 problems in all)")


async def test_warnings_are_short_single_lines_and_not_too_many() -> None:
    """The API server drops what is longer than 256 characters or 4 KiB together; we say how many are missing."""

    class Warns:
        def admit(self, *_: object, **__: object) -> Outcome:
            return Outcome(None, warnings=("two\nlines\x1b[31m", "x" * 1000, *(f"number {n} " * 9 for n in range(99))))

    found = response(await Webhook(admitter=Warns()).post(builders.review(builders.pod())))["warnings"]

    assert "evenkeel: two lines [31m" == found[0]
    assert (256, "...") == (len(found[1]), found[1][-3:])
    assert sum(len(line.encode()) for line in found) <= 4096
    assert f"evenkeel: and {101 - len(found) + 1} more warnings" == found[-1]


async def test_one_line_is_logged_and_one_step_counted() -> None:
    """The line has names and numbers, and nothing of what the Pod contains."""
    pod = builders.pod(containers=[builders.container(env=[{"name": "TOKEN", "value": "s3cret"}])])
    pod["metadata"] |= {"ownerReferences": [{"kind": "ReplicaSet", "name": "front-7"}]}
    with logs() as lines:
        webhook = Webhook()
        await webhook.post(builders.review(pod))

    (line,) = lines
    expected = {
        "uid": builders.UID,
        "namespace": "shop",
        "pod": "front-0",
        "owner": "ReplicaSet/front-7",
        "result": "injected",
        "reason": "selected",
        "dry_run": False,
    }
    assert expected.items() <= line.items()
    assert "s3cret" not in str(line)
    assert 1.0 == webhook.counted("injected", "selected")


async def test_a_server_that_drains_asks_callers_to_go_elsewhere() -> None:
    """Its answers close the connection, so that the next request goes to another replica."""
    webhook = Webhook()
    before = await webhook.post(builders.review(builders.pod()))
    webhook.draining = True

    after = await webhook.post(builders.review(builders.pod()))

    assert (None, "close") == (before.headers.get("connection"), after.headers["connection"])
