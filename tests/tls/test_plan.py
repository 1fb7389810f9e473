"""What has to be made anew, and why: the table of a CA's change, and content that is broken in every way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tests.tls.cluster import NOW, TERMS
from webhook.compose.certificate import terms
from webhook.settings import Settings
from webhook.tls.authority import issue, make_authority, names_of, serving_names
from webhook.tls.plan import SPREAD, Code, Plan, carry_out, plan
from webhook.tls.state import State, read_state, write_state

DAY = timedelta(days=1)


def _plan(state: State | None, now: datetime, *, published: bool = True) -> Plan:
    return plan(write_state(state) if state else None, now, TERMS, published=lambda _: published)


def _codes(found: Plan) -> list[Code]:
    return [step.code for step in found.steps]


def _on(state: State | None, now: datetime, *, published: bool = True) -> State:
    """Do what has to be done, and expect that nothing is left to do."""
    after = carry_out(_plan(state, now, published=published), now, TERMS)
    assert read_state(write_state(after)) == after
    return after


FIRST = _on(None, NOW)
OLD_CA = NOW + 41 * DAY
"""A third of the CA's life is left."""


def test_nothing_there_gives_a_ca_and_a_leaf_and_then_nothing_more() -> None:
    """The first replica of the first installation."""
    assert [Code.CREATED] == _codes(_plan(None, NOW))
    assert [] == _codes(_plan(FIRST, NOW))
    assert FIRST.bundle == FIRST.signing.pem


def test_a_leaf_is_renewed_at_two_thirds_by_the_same_ca() -> None:
    """With a third of its life left to mend what hinders it."""
    assert [] == _codes(_plan(FIRST, NOW + 4.6 * DAY))
    assert [Code.LEAF_OLD] == _codes(_plan(FIRST, NOW + 4.7 * DAY))

    after = _on(FIRST, NOW + 4.7 * DAY)

    assert (FIRST.signing, FIRST.bundle) == (after.signing, after.bundle)
    assert after.leaf != FIRST.leaf


def test_a_ca_is_changed_in_stages() -> None:
    """Announced, published for a while, promoted, and retired when its last leaf is over."""
    aged = replace(FIRST, leaf=issue(FIRST.signing, TERMS.names, OLD_CA - DAY, TERMS.leaf))
    announced = _on(aged, OLD_CA)
    assert announced.coming
    assert (aged.signing, aged.leaf) == (announced.signing, announced.leaf)
    assert announced.bundle == aged.signing.pem + announced.coming.pem

    assert [] == _codes(_plan(announced, OLD_CA, published=False))
    published = _on(announced, OLD_CA)
    assert OLD_CA == published.published

    soon = OLD_CA + SPREAD
    assert [] == _codes(_plan(published, soon - timedelta(seconds=1)))
    assert [] == _codes(_plan(published, soon, published=False))
    promoted = _on(published, soon)
    assert (announced.coming, None) == (promoted.signing, promoted.coming)
    assert promoted.bundle == announced.coming.pem + aged.signing.pem
    assert aged.leaf
    assert aged.leaf.certificate.not_valid_after_utc == promoted.until

    renewed = _on(promoted, OLD_CA + 5 * DAY)
    assert renewed.leaving == promoted.leaving
    retired = _on(renewed, OLD_CA + 6 * DAY)
    assert retired.bundle == announced.coming.pem


def test_a_promotion_keeps_its_own_predecessor_when_an_earlier_one_retires() -> None:
    """Both may fall into one look, where nobody looked for long."""
    past = make_authority(NOW, TERMS.authority).certificate
    waiting = _on(_on(FIRST, OLD_CA), OLD_CA)
    both = replace(waiting, leaving=(past,), until=OLD_CA)

    found = _plan(both, OLD_CA + SPREAD)
    after = carry_out(found, OLD_CA + SPREAD, TERMS)

    assert [Code.RETIRED, Code.PROMOTED] == _codes(found)
    assert (FIRST.signing.certificate,) == after.leaving


def test_a_ca_that_expires_unpublished_gives_way_at_once() -> None:
    """What it signed is refused anyway."""
    announced = _on(FIRST, OLD_CA)

    assert [Code.PROMOTED] == _codes(_plan(announced, NOW + 60 * DAY, published=False))
    assert [Code.AUTHORITY_EXPIRED] == _codes(_plan(FIRST, NOW + 60 * DAY))


def test_a_next_ca_that_nobody_published_for_long_is_replaced() -> None:
    """It would be promoted at the end of its life."""
    long = replace(TERMS, authority=1000 * DAY)
    signing = make_authority(NOW, long.authority)
    coming = make_authority(NOW, TERMS.authority)
    state = State(signing, issue(signing, TERMS.names, NOW + 40 * DAY, TERMS.leaf), coming)

    assert [Code.ANNOUNCED] == _codes(_plan(state, OLD_CA, published=False))
    assert coming != _on(state, OLD_CA, published=False).coming


def test_a_publication_in_the_future_is_dated_again() -> None:
    """A clock was wrong; the change must not wait for that day."""
    state = replace(_on(FIRST, OLD_CA), published=OLD_CA + 100 * DAY)

    assert [Code.PUBLISHED] == _codes(_plan(state, OLD_CA))


def test_what_is_not_valid_yet_is_left_alone() -> None:
    """One of two clocks is wrong; taking turns would make both replicas wrong."""
    assert [] == _codes(_plan(FIRST, NOW - 100 * DAY))


def test_names_are_added_and_none_taken_away() -> None:
    """Replicas of two versions that want different names are both content with the second certificate."""
    others = replace(TERMS, names=("new.evenkeel-system.svc",))
    found = plan(write_state(FIRST), NOW, others, published=lambda _: True)
    after = carry_out(found, NOW, others)

    assert [Code.LEAF_NAMES] == _codes(found)
    assert "not made for new.evenkeel-system.svc" in found.steps[0].reason
    assert after.leaf
    assert {*TERMS.names, *others.names} == {*names_of(after.leaf.certificate)}
    assert [] == _codes(_plan(after, NOW))


def test_a_certificate_made_before_sidecars_asked_for_one_is_renewed() -> None:
    """An upgrade: the CA stays, so API servers notice nothing, and sidecars find the name they ask for."""
    wanted = terms(Settings())
    before = replace(wanted, names=serving_names("evenkeel-webhook", "evenkeel-system", "cluster.local"))
    old = carry_out(plan(None, NOW, before, published=lambda _: True), NOW, before)

    found = plan(write_state(old), NOW, wanted, published=lambda _: True)
    after = carry_out(found, NOW, wanted)

    assert [Code.LEAF_NAMES] == _codes(found)
    assert old.leaf is not None is not after.leaf
    assert {*names_of(old.leaf.certificate), "evenkeel-xds.evenkeel-system.svc"} < {*names_of(after.leaf.certificate)}
    assert (old.signing, old.bundle) == (after.signing, after.bundle)
    assert [] == [*plan(write_state(after), NOW, before, published=lambda _: True).steps]


def _stranger() -> dict[str, bytes]:
    pair = trustme.CA().issue_cert("localhost")
    return {"tls.crt": pair.cert_chain_pems[0].bytes(), "tls.key": pair.private_key_pem.bytes(), "ca.crt": b"x"}


GOOD = write_state(_on(FIRST, OLD_CA))
OTHER = write_state(_on(None, OLD_CA))


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        ({}, Code.UNUSABLE, "it holds no CA"),
        (_stranger(), Code.UNUSABLE, "somebody else made it"),
        (GOOD | {"signing-ca.crt": b"no"}, Code.UNUSABLE, "signing-ca.crt cannot be read"),
        (GOOD | {"signing-ca.key": b"no"}, Code.UNUSABLE, "its key belongs to another"),
        (GOOD | {"signing-ca.key": OTHER["signing-ca.key"]}, Code.UNUSABLE, "its key belongs to another"),
        (
            GOOD | {"signing-ca.crt": GOOD["tls.crt"], "signing-ca.key": GOOD["tls.key"]},
            Code.UNUSABLE,
            "the certificate of a server",
        ),
        (GOOD | {"tls.crt": b""}, Code.LEAF_UNFIT, "cannot be read"),
        (GOOD | {"tls.key": b"no"}, Code.LEAF_UNFIT, "its key belongs to another certificate, or cannot be read"),
        (
            GOOD | {"tls.crt": OTHER["tls.crt"], "tls.key": OTHER["tls.key"]},
            Code.LEAF_UNFIT,
            "the CA in use has not signed it",
        ),
        (GOOD | {"ca.crt": b""}, Code.BUNDLE, "ca.crt is not what its CAs make"),
        (GOOD | {"next-ca.crt": b"no"}, Code.ANNOUNCED, "two thirds"),
        (GOOD | {"next-ca.key": OTHER["tls.key"]}, Code.ANNOUNCED, "two thirds"),
    ],
)
def test_broken_content_is_mended_with_a_reason(content: dict[str, bytes], code: Code, reason: str) -> None:
    """Foreign, half written or spoiled: never a crash, and right afterwards."""
    fresh = issue(FIRST.signing, TERMS.names, OLD_CA, TERMS.leaf)
    leaf = {"tls.crt": fresh.pem, "tls.key": fresh.key}
    content = content | {key: value for key, value in leaf.items() if content.get(key) == GOOD[key]}
    found = plan(content, OLD_CA, TERMS, published=lambda _: False)
    after = carry_out(found, OLD_CA, TERMS)

    assert code in _codes(found)
    assert reason in " ".join(step.reason for step in found.steps)
    assert [] == _codes(plan(write_state(after), OLD_CA, TERMS, published=lambda _: False))


def test_what_is_remembered_is_written_again_and_its_ca_changed() -> None:
    """Deleting the Secret asks for a change of CA; it goes by stages like any other."""
    found = plan(None, NOW, TERMS, published=lambda _: True, known=FIRST)
    after = carry_out(found, NOW, TERMS)

    assert [Code.RESTORED, Code.ANNOUNCED] == _codes(found)
    assert (FIRST.signing, FIRST.leaf) == (after.signing, after.leaf)
    assert after.coming is not None


def test_beginning_anew_keeps_what_is_published_for_a_while() -> None:
    """Other replicas may serve what those CAs have signed."""
    carried = [make_authority(NOW, TERMS.authority).certificate, make_authority(NOW - 99 * DAY, DAY).certificate]
    after = carry_out(_plan(None, NOW), NOW, TERMS, carried=carried)

    assert (after.signing.certificate, carried[0]) == after.authorities
    assert [Code.RETIRED] == _codes(_plan(after, NOW + timedelta(minutes=15)))


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.binary(max_size=60)))
def test_no_content_is_a_crash(spoiled: dict[str, bytes]) -> None:
    """Whatever somebody writes there, one write later nothing is left to do."""
    found = plan(GOOD | spoiled, OLD_CA, TERMS, published=lambda _: False)
    after = carry_out(found, OLD_CA, TERMS) if found.steps else found.state
    assert after

    assert [] == _codes(plan(write_state(after), OLD_CA, TERMS, published=lambda _: False))
