"""Cards from evaluations: what is shown, in which order, under which identity.

A card's uuid is computed from who asked, what fired and what the card says, so that an
identical retry gets the identical card and anything else gets a new one. Feedback then
joins the rule and the version that gave the advice. The identity comes last, after it
is decided what is shown: what a card says may still change until then.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from ...protocol.capabilities import Capabilities, gate_system_actions
from ...protocol.cards import Action, Card, CardSource, Indicator, as_json
from ...protocol.services import Service
from ..engine.alerting import OF_THE_CALL, Alerting
from ..engine.case import Case
from ..engine.evaluate import Evaluation, Evaluations, Outcome
from ..engine.rules import CardTemplate
from ..values.escaping import shorten
from ..values.text import SUMMARY_LIMIT, render_markdown, render_plain
from . import sentences
from .disputes import evidence_of
from .shape import compose_detail
from .suggestions import build_suggestions, changed_by, join_suggestions
from .system_actions import build_system_actions, offered_by

NAMESPACE = UUID("6edf786b-c962-4545-9666-ac485dafac5d")
"""Of every uuid that this project computes."""
RULE_EXTENSION = "org.cds-service.rule"
UNCHECKED_EXTENSION = "org.cds-service.unchecked"


@dataclass(frozen=True, slots=True)
class BuiltCard:
    """A card, and what the record of the call says of it."""

    card: Card
    """Without uuids until ``identify`` gives them."""
    rule: str
    """The id of its rule; empty for the card about checks that could not be made."""
    version: str
    index: int
    """Of the card in its rule."""
    dedup_key: str
    """Equal for cards that tell the same patient's chart the same thing."""
    comparable: bool = True
    """False where something is not known that ``once_per`` names: two unknowns need not
    be the same, so the card is like no other."""
    title: str = ""
    """Of its rule."""
    alerting: Alerting = Alerting()
    evidence: tuple[str, ...] = ()
    """References of the alerts and observations that it rests on."""
    system_actions: tuple[Action, ...] = ()
    """What may be done without a person, where the card is shown."""
    case: Case | None = field(default=None, compare=False, repr=False)
    """What the rule was asked about; None for the card about checks."""


def draft_cards(
    evaluations: Evaluations, service: Service, call: Mapping[str, str | None] = {}
) -> tuple[BuiltCard, ...]:
    """The cards that the rules ask for, most urgent first, without identity.

    Args:
        call: Its ``user`` and ``encounter``, which ``once_per`` may name and what
            is suggested is filed under.

    Source: CDS Hooks 3.0.0 "Card Attributes".
    """
    served = [each for each in evaluations.items if each.rule.served]
    fired = [
        _build(each, each.card, call)
        for each in served
        if each.outcome is Outcome.FIRES and each.card is not None
    ]
    fired.sort(key=_urgency)
    unchecked = [
        each
        for each in served
        if each.outcome is Outcome.UNKNOWN and (each.could_not_check or each.noted)
    ]
    if unchecked:
        fired.append(_build_unchecked(unchecked, service))
    return tuple(fired)


def identify(drafts: Sequence[BuiltCard], seed: str) -> tuple[BuiltCard, ...]:
    """The cards with their uuids, each distinct.

    Args:
        seed: Who asked what about whom; equal only for an identical retry.
    """
    built = {}
    for draft in drafts:
        rule = f"{draft.rule}@{draft.version}" if draft.rule else ""
        card = _identified(draft.card, f"{seed}|{rule}|{draft.index}")
        built[card.uuid] = replace(draft, card=card)
    return tuple(built.values())


def settle_actions(
    cards: Iterable[BuiltCard], capabilities: Capabilities
) -> tuple[BuiltCard, ...]:
    """The cards that are shown, each with the system actions that the client is sent.

    No record is changed twice: the more urgent card has its way, and what a person is
    offered to change is left to the person. A card's list is sent whole or not at all.

    Args:
        cards: All that are shown, most urgent first.
    """
    cards = tuple(cards)
    taken = set[str]().union(*(offered_by(each.card.suggestions) for each in cards))
    settled = []
    for each in cards:
        changed = changed_by(each.system_actions)
        actions = each.system_actions if taken.isdisjoint(changed) else ()
        taken |= changed_by(actions)
        sent = gate_system_actions(actions, capabilities)
        settled.append(replace(each, system_actions=sent))
    return tuple(settled)


def _urgency(built: BuiltCard) -> tuple[int, int, str]:
    return -built.card.indicator, -built.alerting.priority, built.rule


def _build(
    evaluation: Evaluation, template: CardTemplate, call: Mapping[str, str | None]
) -> BuiltCard:
    rule = evaluation.rule
    suggestions = build_suggestions(template.suggestions, evaluation, call)
    draft = Card(
        uuid="",
        summary=render_plain(template.summary, evaluation.text)
        or shorten(rule.title, SUMMARY_LIMIT),
        indicator=severity_of(evaluation, template),
        source=template.source,
        detail=_detail(evaluation, template),
        suggestions=suggestions,
        selection=template.selection,
        together=(
            join_suggestions(template.together, suggestions)
            if len(suggestions) == len(template.suggestions)
            else None  # its label would promise what is not among them
        ),
        override_reasons=template.override_reasons,
        links=template.links,
        extension={RULE_EXTENSION: {"id": rule.id, "version": rule.version}},
    )
    key = _dedup_key(evaluation, template, call)
    return BuiltCard(
        draft,
        rule.id,
        rule.version,
        template.index,
        _canonical(key),
        comparable=None not in key.values(),
        title=rule.title,
        alerting=rule.alerting,
        evidence=evidence_of(evaluation),
        system_actions=(
            build_system_actions(template, evaluation, call) if rule.approved else ()
        ),
        case=evaluation.case,
    )


def severity_of(evaluation: Evaluation, template: CardTemplate) -> Indicator:
    """The severity of the card.

    What a name alone decided is never critical, and history alone is information.
    """
    severity = template.severity
    if evaluation.decided_by_name:
        severity = min(severity, Indicator.WARNING)
    return severity if evaluation.at_most is None else min(severity, evaluation.at_most)


def _detail(evaluation: Evaluation, template: CardTemplate) -> str:
    rule = evaluation.rule
    said = []
    if evaluation.by_name:
        said.append(sentences.matched_by_name(evaluation.by_name))
    if evaluation.at_most is not None and evaluation.at_most < template.severity:
        said.append(sentences.FOUND_LATE)
    if evaluation.reasons:
        chart = evaluation.case.chart
        said.append(sentences.not_known(rule, evaluation.reasons, chart))
    if not rule.approved:
        said.append(sentences.AWAITS_APPROVAL)
    body = render_markdown(template.detail or (), evaluation.text)
    limits = render_markdown(template.limits, evaluation.text)
    return compose_detail(body, limits, said)


def _dedup_key(
    evaluation: Evaluation, template: CardTemplate, call: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Return what ``once_per`` names, with its values; None for one that is not known.

    The encounter stands in for a user whom the call does not name.
    """
    rule = evaluation.rule
    known = {
        "patient": evaluation.case.chart.patient_id,
        "rule": rule.id,
        "severity": severity_of(evaluation, template).name.lower(),
        **{name: call.get(name) or None for name in OF_THE_CALL},
    }
    key: dict[str, str | None] = {"rule": rule.id}
    for name in rule.alerting.once_per:
        if name == "user" and not known["user"] and known["encounter"]:
            key["encounter"] = known["encounter"]
        elif name in known:
            key[name] = known[name]
        else:
            shown = evaluation.text(*name.split(".", 1))
            key[name] = shown.text or None if shown else None
    return key


def _build_unchecked(evaluations: Sequence[Evaluation], service: Service) -> BuiltCard:
    rules = sorted(each.rule.key for each in evaluations)
    draft = Card(
        uuid="",
        summary=sentences.UNCHECKED_SUMMARY,
        indicator=Indicator.INFO,
        source=CardSource(service.title),
        detail=sentences.unchecked_detail(evaluations),
        extension={UNCHECKED_EXTENSION: {"rules": rules}},
    )
    patient = evaluations[0].case.chart.patient_id
    key = _canonical({"patient": patient, "service": service.id, "unchecked": rules})
    return BuiltCard(draft, "", "", 0, key)


def _identified(draft: Card, seed: str) -> Card:
    """The card with its uuid and those of its suggestions."""
    digest = hashlib.sha256(_canonical(as_json(draft)).encode()).hexdigest()
    return replace(
        draft,
        uuid=str(uuid5(NAMESPACE, f"{seed}|{digest}")),
        suggestions=tuple(
            replace(each, uuid=str(uuid5(NAMESPACE, f"{seed}|{digest}|{index}")))
            for index, each in enumerate(draft.suggestions)
        ),
        together=draft.together
        and replace(
            draft.together, uuid=str(uuid5(NAMESPACE, f"{seed}|{digest}|together"))
        ),
    )


def _canonical(value: Any) -> str:
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
