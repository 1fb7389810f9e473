"""What has to change in our Secret, and the change itself. Pure but for the time that is given and new keys.

A CA is changed in stages, so that there is no moment at which an API server refuses what is served:

| stage | signs | published | goes on when |
| --- | --- | --- | --- |
| steady | A | A | two thirds of A's life are over |
| announced | A | A, B | B has stood in every webhook configuration for SPREAD |
| promoted | B | B, A | the last leaf of A has expired |
| steady | B | B | |

Replicas plan each for themselves from the same content, and whoever writes first wins: so a plan depends on nothing but
its arguments, and what one replica wrote is fine with all others, as long as their clocks differ by less than a third
of a leaf's life. For the same reason nobody acts on a certificate that is not valid yet: one clock of two is wrong, and
nobody knows which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509

from webhook.tls.authority import BACKDATED, due, expired, issue, make_authority, names_of, unfit_leaf
from webhook.tls.state import State, Unusable, read_state

SPREAD: Final = timedelta(hours=1)
"""From the writing of a caBundle until everybody goes by it. API servers watch the webhook configurations, which takes
a second, or a minute or so where a watch broke silently. Sidecars are told by an annotation of their Pod: the
reconciler writes 180,000 of them in this time, and a kubelet needs up to two minutes for its part."""
_CARRIED: Final = timedelta(minutes=15)
"""How long strangers' CAs stay in the bundle when we begin anew: a rollout's time."""
_MOST_CARRIED: Final = 10


class Code(StrEnum):
    """What is done, for metrics and logs."""

    CREATED = "created"
    UNUSABLE = "unusable"
    AUTHORITY_EXPIRED = "authority-expired"
    RESTORED = "restored"
    ANNOUNCED = "authority-announced"
    PUBLISHED = "authority-published"
    PROMOTED = "authority-promoted"
    RETIRED = "authority-retired"
    LEAF_OLD = "leaf-old"
    LEAF_EXPIRED = "leaf-expired"
    LEAF_NAMES = "leaf-names"
    LEAF_UNFIT = "leaf-unfit"
    BUNDLE = "bundle-differs"


_ANEW: Final = frozenset({Code.CREATED, Code.UNUSABLE, Code.AUTHORITY_EXPIRED})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and why."""

    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What the Secret says, and what is to be done about it: nothing, where there are no steps."""

    state: State | None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What our certificates are for and how long they live."""

    names: tuple[str, ...]
    leaf: timedelta = timedelta(hours=168)
    authority: timedelta = timedelta(days=365)
    spread: timedelta = SPREAD
    """How long a CA is published before it signs."""


Published = Callable[[x509.Certificate], bool]
"""Whether a CA stands in every webhook configuration now."""


def plan(
    content: Mapping[str, bytes] | None,
    now: datetime,
    terms: Terms,
    *,
    published: Published,
    known: State | None = None,
) -> Plan:
    """Decide what has to be done about a Secret's content, or about its absence.

    `known` is what it last held, where somebody remembers: a Secret that was deleted or spoiled is then written
    again, with a change of the CA begun, because whoever deletes it may want just that. Never fails: what cannot be
    read is made anew.
    """
    try:
        state, first = read_state(content), []
    except Unusable as unusable:
        if known is None or expired(known.signing.certificate, now):
            code = Code.CREATED if content is None else Code.UNUSABLE
            return Plan(None, (Step(code, f"{unusable}; a CA and a certificate are made"),))
        state, first = known, [Step(Code.RESTORED, f"{unusable}; written again from memory, and its CA is changed")]
    steps = [*first, *_authority_steps(state, now, terms, published, change=bool(first))]
    if not any(step.code in _ANEW or step.code is Code.PROMOTED for step in steps):
        steps += _leaf_steps(state, now, terms)
    if content is not None and not steps and content.get("ca.crt") != state.bundle:
        steps.append(Step(Code.BUNDLE, "ca.crt is not what its CAs make; it is written again"))
    return Plan(state, tuple(steps))


def carry_out(found: Plan, now: datetime, terms: Terms, *, carried: Sequence[x509.Certificate] = ()) -> State:
    """Give the state after a plan's steps.

    `carried` are the CAs that are published now: where we begin anew they stay beside ours for a while, since other
    replicas may still serve what those have signed.
    """
    state = found.state
    for step in found.steps:
        begin = state is None or step.code in _ANEW
        state = _DO[step.code](state, now, terms) if state and not begin else _anew(now, terms, carried)
    if state is None:
        raise ValueError("a plan without a state has a step that makes one")
    return state


def _authority_steps(
    state: State, now: datetime, terms: Terms, published: Published, *, change: bool
) -> Iterator[Step]:
    if state.leaving and (state.until is None or now >= state.until):
        # First: the CA that another step sends off must not go with those.
        yield Step(Code.RETIRED, "whatever earlier CAs have signed is over; they leave the bundle")
    signing, coming = state.signing.certificate, state.coming
    usable = coming is not None and not expired(coming.certificate, now)
    if expired(signing, now):
        code = Code.PROMOTED if usable else Code.AUTHORITY_EXPIRED
        yield Step(code, f"the CA in use expired on {signing.not_valid_after_utc:%Y-%m-%d %H:%M}")
    elif coming is None:
        if change or due(signing, now):
            why = "a change was asked for" if change else "two thirds of the CA's life are over"
            yield Step(Code.ANNOUNCED, f"{why}; the next CA is published beside it")
    elif due(coming.certificate, now):
        yield Step(
            Code.ANNOUNCED, "the next CA grew old before it was used; another is published beside the one in use"
        )
    elif published(coming.certificate):
        yield from _coming_steps(state, now, terms.spread)


def _coming_steps(state: State, now: datetime, spread: timedelta) -> Iterator[Step]:
    if state.published is None or state.published > now + BACKDATED:
        yield Step(Code.PUBLISHED, "the next CA stands in every webhook configuration from now on")
    elif now >= state.published + spread:
        yield Step(Code.PROMOTED, f"the next CA has been published for {spread}; it signs from now on")


def _leaf_steps(state: State, now: datetime, terms: Terms) -> Iterator[Step]:
    leaf = state.leaf
    if leaf is None:
        yield Step(Code.LEAF_UNFIT, "tls.crt or tls.key cannot be read; a certificate is made")
        return
    problem = unfit_leaf(leaf, state.signing)
    lacking = [name for name in terms.names if name not in names_of(leaf.certificate)]
    if problem:
        yield Step(Code.LEAF_UNFIT, f"the certificate is no use: {problem}")
    elif lacking:
        yield Step(Code.LEAF_NAMES, f"the certificate is not made for {', '.join(lacking)}")
    elif expired(leaf.certificate, now):
        yield Step(
            Code.LEAF_EXPIRED, f"the certificate expired on {leaf.certificate.not_valid_after_utc:%Y-%m-%d %H:%M}"
        )
    elif due(leaf.certificate, now):
        yield Step(Code.LEAF_OLD, "two thirds of the certificate's life are over")


def _anew(now: datetime, terms: Terms, carried: Sequence[x509.Certificate]) -> State:
    signing = make_authority(now, terms.authority)
    leaf = issue(signing, terms.names, now, terms.leaf)
    leaving = tuple(one for one in carried if not expired(one, now))[:_MOST_CARRIED]
    return State(signing, leaf, leaving=leaving, until=now + _CARRIED if leaving else None)


def _announced(state: State, now: datetime, terms: Terms) -> State:
    return replace(state, coming=make_authority(now, terms.authority), published=None)


def _promoted(state: State, now: datetime, terms: Terms) -> State:
    if state.coming is None:
        return state
    last = state.leaf.certificate.not_valid_after_utc if state.leaf else now + _CARRIED
    return State(
        signing=state.coming,
        leaf=issue(state.coming, terms.names, now, terms.leaf),
        leaving=(state.signing.certificate, *state.leaving),
        until=max(last, state.until or last),
    )


def _retired(state: State, _now: datetime, _terms: Terms) -> State:
    return replace(state, leaving=(), until=None)


def _renewed(state: State, now: datetime, terms: Terms) -> State:
    return replace(state, leaf=issue(state.signing, terms.names, now, terms.leaf))


def _renamed(state: State, now: datetime, terms: Terms) -> State:
    # The names it had stay: during an upgrade old and new replicas may want different ones, and would take turns.
    had = names_of(state.leaf.certificate) if state.leaf else ()
    names = tuple(dict.fromkeys((*terms.names, *had)))
    return replace(state, leaf=issue(state.signing, names, now, terms.leaf))


def _as_it_is(state: State, _now: datetime, _terms: Terms) -> State:
    return state


_DO: Final[Mapping[Code, Callable[[State, datetime, Terms], State]]] = {
    Code.RESTORED: _as_it_is,
    Code.ANNOUNCED: _announced,
    Code.PUBLISHED: lambda state, now, _terms: replace(state, published=now),
    Code.PROMOTED: _promoted,
    Code.RETIRED: _retired,
    Code.LEAF_OLD: _renewed,
    Code.LEAF_EXPIRED: _renewed,
    Code.LEAF_UNFIT: _renewed,
    Code.LEAF_NAMES: _renamed,
    Code.BUNDLE: _as_it_is,
}
