"""What there is to do, step by step by a clock of the test's own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.builders import catalog, port, service
from tests.reconcile.kit import INJECTOR, NOTHING, ORDERS, live_document, live_pod, sample
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.pod import Pod
from webhook.reconcile.judge import SPARED_SECONDS
from webhook.reconcile.keep import LivePod, keep_pod
from webhook.reconcile.metrics import ReconcilerMetrics, Result
from webhook.reconcile.plan import Left, LeftAlone
from webhook.reconcile.queue import Rank
from webhook.reconcile.tell import Teller
from webhook.reconcile.work import Job, Work

OTHER = catalog(service("orders", port(9, "grpc")))


class Day:
    """Work, its clock, and what it told."""

    def __init__(self, *pods: LivePod, known: Catalog = NOTHING, refresher: Any = INJECTOR) -> None:
        self.registry = CollectorRegistry()
        metrics = ReconcilerMetrics(self.registry)
        chance = random.Random(1)  # noqa: S311
        self.work = Work(refresher, metrics, Teller(), settle_seconds=0.25, chance=chance)
        self.now = 0.0
        self.work.publish(known, self.now)
        self.work.lead(leads=True, now=self.now)
        for pod in pods:
            self.work.seen(pod, self.now, rank=Rank.ROUND)

    def look(self) -> int:
        """Look at everybody who waits for it, and count them."""
        self.work.tick(self.now)
        count = 0
        while self.work.check(self.now):
            count += 1
        return count

    def jobs(self) -> list[Job]:
        """Take every patch that is due."""
        self.look()
        found = []
        while self.work.wait_for_patch(self.now) == 0.0:
            job = self.work.next_patch(self.now)
            found += [job] if job else []
        return found

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def publish(self, known: Catalog) -> None:
        """Publish a catalog and let it settle."""
        self.work.publish(known, self.now)
        self.later(0.25)

    def landed(self, job: Job, version: int = 50) -> None:
        """Let a patch succeed."""
        answer = live_document(job.live.key.name, uid=job.live.uid, version=version, namespace=job.live.key.namespace)
        answer["metadata"]["annotations"] |= job.rewrite.annotations
        self.work.patched(job, keep_pod(answer), self.now)

    def number(self, name: str, **labels: str) -> float:
        """Give a metric."""
        return sample(self.registry, f"evenkeel_reconciler_{name}", **labels)


def pods_of(jobs: list[Job]) -> list[str]:
    """Give whom the patches are for."""
    return [str(job.live.key) for job in jobs]


def test_a_new_service_reaches_the_pods_that_see_it() -> None:
    """And only those: another namespace's are not even looked at."""
    day = Day(live_pod(), live_pod("other", namespace="bank"))
    day.jobs()
    day.publish(ORDERS)

    assert day.look() == 1
    assert pods_of(day.jobs()) == ["shop/front-0"]


def test_own_namespace_first() -> None:
    """Then those that see it by export."""
    shared = catalog(service("orders", annotations={names.EXPORT_TO: "*"}))
    day = Day(live_pod("a", namespace="bank"), live_pod("z"))
    day.jobs()
    day.publish(shared)

    assert pods_of(day.jobs()) == ["shop/z", "bank/a"]


def test_a_pod_that_saw_a_service_before_is_concerned_by_its_end() -> None:
    """Exported before, and not now."""
    shared = catalog(service("orders", annotations={names.EXPORT_TO: "bank"}))
    day = Day(live_pod("a", namespace="bank", catalog=shared), known=shared)
    day.jobs()
    day.publish(ORDERS)

    assert pods_of(day.jobs()) == ["bank/a"]


def test_nothing_is_done_before_changes_have_settled() -> None:
    """A storm is one patch."""
    day = Day(live_pod())
    day.jobs()
    for number in range(5):
        day.work.publish(catalog(service("orders", port(number + 1, "grpc"))), day.now)
        day.later(0.1)
        assert day.jobs() == []
    day.later(0.2)

    assert len(day.jobs()) == 1


def test_the_first_look_is_at_everybody() -> None:
    """Those that were missed while nobody led."""
    day = Day(live_pod("a"), live_pod("b", catalog=ORDERS), known=ORDERS)

    assert pods_of(day.jobs()) == ["shop/a"]


def test_nothing_is_looked_at_before_there_is_a_catalog() -> None:
    """An empty one would take every route away."""
    day = Day()
    day.work.catalog = None
    day.work.seen(live_pod(catalog=ORDERS), 0.0)

    assert (day.look(), day.work.wait_for_check(0.0), day.jobs()) == (0, None, [])


def test_who_does_not_lead_does_nothing_but_knows_all() -> None:
    """The standby keeps Pods and Services, and begins with a look at everybody."""
    day = Day()
    day.work.lead(leads=False, now=day.now)
    day.work.seen(live_pod(), day.now)
    day.publish(ORDERS)
    standing_by = (day.jobs(), day.number("pods"), day.number("pods_out_of_date"))
    day.work.lead(leads=True, now=day.now)

    assert standing_by == ([], 1.0, 0.0)
    assert pods_of(day.jobs()) == ["shop/front-0"]


def test_a_patched_pod_that_comes_back_is_not_patched_again() -> None:
    """Neither by the answer, nor by its event, nor by a late one from before."""
    before = live_pod(version=3)
    day = Day(before, known=ORDERS)
    (job,) = day.jobs()
    day.landed(job, version=50)
    after_answer = day.jobs()
    day.work.seen(live_pod(version=4, labels={"app": "late"}), day.now)
    answered = day.work.pods.get(before.key)
    assert answered is not None
    day.work.seen(answered, day.now)

    assert (after_answer, day.jobs(), day.number("pods_out_of_date")) == ([], [], 0.0)


def test_a_change_during_a_patch_is_dealt_with_after_it() -> None:
    """Never two patches of one Pod at a time, and the later change is not lost."""
    day = Day(live_pod(), known=ORDERS)
    (first,) = day.jobs()
    day.publish(OTHER)
    during = day.jobs()
    day.landed(first)
    (second,) = day.jobs()

    assert during == []
    assert "9" in second.rewrite.annotations[names.CLUSTERS]


def test_a_pod_is_judged_anew_when_its_turn_has_come() -> None:
    """What it should carry may be what it carries, by then."""
    day = Day(live_pod(), known=ORDERS)
    day.look()
    out_of_date = day.number("pods_out_of_date")
    day.work.publish(NOTHING, day.now)

    assert (out_of_date, day.jobs(), day.number("pods_out_of_date")) == (1.0, [], 0.0)


@pytest.mark.parametrize(
    ("result", "shortest", "longest"),
    [
        (Result.CONFLICT, 0.1, 0.2),
        (Result.FORBIDDEN, 30.0, 60.0),
        (Result.REFUSED, 30.0, 60.0),
        (Result.UNREACHABLE, 0.25, 0.5),
    ],
)
def test_after_a_failure_a_pod_rests_and_is_not_lost(result: Result, shortest: float, longest: float) -> None:
    """Others go on meanwhile."""
    day = Day(live_pod("a"), live_pod("b"), known=ORDERS)
    first, second = day.jobs()
    day.work.failed(first, result, day.now)
    day.landed(second)
    early = day.jobs()
    wait = day.work.wait_for_patch(day.now)
    assert wait is not None
    day.later(wait)

    assert early == []
    assert shortest <= wait <= longest
    assert pods_of(day.jobs()) == ["shop/a"]


def test_failures_in_a_row_rest_longer_and_a_wish_is_respected() -> None:
    """A Retry-After counts where it is longer."""
    day, waits = Day(live_pod(), known=ORDERS), []
    for _ in range(8):
        (job,) = day.jobs()
        day.work.failed(job, Result.UNREACHABLE, day.now)
        waits.append(day.work.wait_for_patch(day.now))
        day.later(waits[-1])
    (job,) = day.jobs()
    day.work.failed(job, Result.UNREACHABLE, day.now, at_least=90.0)

    assert waits[-1] > 10 * waits[0]
    assert day.work.wait_for_patch(day.now) == 90.0


def test_a_pod_that_is_gone_is_forgotten() -> None:
    """Whether the API server or the watch says so."""
    day = Day(live_pod("a"), live_pod("b"), known=ORDERS)
    first, _second = day.jobs()
    day.work.failed(first, Result.GONE, day.now)
    day.work.deleted(live_pod("b"))

    assert (day.number("pods"), day.jobs()) == (0.0, [])


def test_a_successor_does_not_rest_for_what_its_predecessor_met() -> None:
    """A StatefulSet's Pod comes back under its name; its first attempt is due at once."""
    day = Day(live_pod(uid="one"), known=ORDERS)
    (job,) = day.jobs()
    day.work.failed(job, Result.REFUSED, day.now)
    day.work.seen(live_pod(uid="other"), day.now)

    assert [job.live.uid for job in day.jobs()] == ["other"]


def test_what_was_sent_in_an_earlier_term_says_nothing_of_this_one() -> None:
    """Leadership was lost and won again while a patch was on its way."""
    day = Day(live_pod(), known=ORDERS)
    (old,) = day.jobs()
    day.work.lead(leads=False, now=day.now)
    day.work.lead(leads=True, now=day.now)
    (new,) = day.jobs()
    day.work.failed(old, Result.FORBIDDEN, day.now)
    day.landed(new)

    assert (day.jobs(), day.number("pods_out_of_date")) == ([], 0.0)


def test_who_takes_our_annotations_back_is_not_fought() -> None:
    """Written again after ever longer rests, told once."""
    day, patches = Day(live_pod(), known=ORDERS), 0
    with capture_logs() as lines:
        for version in range(100, 700):
            for job in day.jobs():
                patches += 1
                day.landed(job, version=version)
                day.work.seen(live_pod(version=version + 1), day.now)
            day.later(1.0)

    assert 8 <= patches <= 11
    assert day.number("undone_total") == patches - 1
    assert [line["event"] for line in lines].count(
        "somebody undoes our annotations; they are written again ever more rarely"
    ) == 1


def test_a_pod_that_became_undone_while_it_waited_rests_first() -> None:
    """What is wanted again by the time its turn has come is what somebody took back."""
    day = Day(live_pod(), known=ORDERS)
    (job,) = day.jobs()
    day.landed(job)
    day.work.publish(OTHER, day.now)
    day.later(0.3)
    day.look()
    day.work.publish(ORDERS, day.now)
    day.work.seen(live_pod(version=60), day.now)

    assert day.work.next_patch(day.now) is None
    day.later(1.0)
    assert pods_of(day.jobs()) == ["shop/front-0"]


def test_a_pod_that_goes_while_its_patch_is_on_its_way_is_not_tried_again() -> None:
    """Its answer says conflict, and the watch that it is gone."""
    day = Day(live_pod(), known=ORDERS)
    (job,) = day.jobs()
    day.work.deleted(live_pod())
    day.work.failed(job, Result.CONFLICT, day.now)
    day.later(60.0)

    assert day.jobs() == []
    assert day.number("pods_out_of_date") == 0.0


def test_a_late_answer_brings_no_pod_back() -> None:
    """It was deleted, or has a successor, when the answer came."""
    day = Day(live_pod("a", uid="one"), live_pod("b", uid="two"), known=ORDERS)
    first, second = day.jobs()
    day.work.deleted(first.live)
    day.work.seen(live_pod("b", uid="three", catalog=ORDERS), day.now)
    day.landed(first)
    day.landed(second)
    successor = day.work.pods.get(second.live.key)

    assert day.number("pods") == 1.0
    assert successor is not None
    assert successor.uid == "three"


def test_things_told_are_not_remembered_for_ever() -> None:
    """After thousands of them they are told anew, once more."""
    teller, left = Teller(), Left(LeftAlone.BAD_ANNOTATIONS, "found 'many'")
    pod = live_pod()
    with capture_logs() as lines:
        for number in (*range(5000), 0, 4999):
            teller.left_alone(replace(pod, uid=str(number)), left)

    assert len(lines) == 5001


def test_a_pod_with_bad_annotations_is_told_once_and_counted() -> None:
    """Until it is mended."""
    day = Day(known=ORDERS)
    with capture_logs() as lines:
        for version in range(3):
            document = live_document(version=version, labels={"app": str(version)})
            document["metadata"]["annotations"][names.APP_PORT] = "many"
            day.work.seen(keep_pod(document), day.now)
            day.jobs()
    counted = day.number("pods_left_alone", reason="bad-annotations")
    day.work.seen(live_pod(version=9, catalog=ORDERS), day.now)
    day.jobs()

    assert [(line["event"], line["pod"]) for line in lines] == [("pod left alone", "shop/front-0")]
    assert (counted, day.number("pods_left_alone", reason="bad-annotations")) == (1.0, 0.0)


def test_a_mistake_of_ours_with_one_pod_does_not_cost_the_others_theirs() -> None:
    """It is told with its place, without what the error says: that may quote the Pod."""

    class Broken:
        def refresh(self, pod: Pod, known: Catalog) -> Mapping[str, str] | None:
            if pod.labels["app"] == "odd":
                raise RuntimeError(pod.document["metadata"]["name"] * 3)
            return INJECTOR.refresh(pod, known)

    day = Day(live_pod("odd-pod", labels={"app": "odd"}), live_pod("b"), known=ORDERS, refresher=Broken())
    with capture_logs() as lines:
        jobs = day.jobs()

    assert pods_of(jobs) == ["shop/b"]
    assert day.number("pods_left_alone", reason="bug") == 1.0
    assert "RuntimeError" in lines[0]["exception"]
    assert "odd-pododd-pod" not in str(lines)


def test_what_a_newer_version_wrote_is_left_to_our_successor_for_a_while() -> None:
    """Who still leads after that is there to stay, and writes."""
    document = live_document()
    document["metadata"]["annotations"][names.STATUS] = '{"version":"999.0.0"}'
    day = Day(keep_pod(document), known=ORDERS)
    spared = day.jobs()
    left = day.number("pods_left_alone", reason="newer-version")
    day.later(SPARED_SECONDS)

    assert (spared, left) == ([], 1.0)
    assert pods_of(day.jobs()) == ["shop/front-0"]


def test_the_time_to_the_last_pod_is_told() -> None:
    """From when the change was seen, through settling and patching."""
    day = Day(live_pod("a"), live_pod("b"))
    day.jobs()
    day.later(10.0)
    day.publish(ORDERS)
    first, second = day.jobs()
    day.landed(first)
    day.later(2.0)
    day.landed(second)

    assert day.number("service_change_to_last_pod_seconds_count") == 1.0
    assert day.number("service_change_to_last_pod_seconds_sum") == pytest.approx(2.25)


def test_every_pod_is_looked_at_now_and_then() -> None:
    """Though nothing has changed."""
    day, looks = Day(live_pod("a"), live_pod("b", namespace="bank")), 0
    day.look()
    for _ in range(1199):
        day.later(1.0)
        looks += day.look()

    assert looks == 2
