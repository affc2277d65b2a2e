"""Data that somebody called wrong: what a card rests on, and what is left without it.

An override for a reason about the data speaks of the wearable alerts and readings that
the card rested on, whatever rule they are met in next. It speaks for whoever made it;
for others only where a rule counts for all.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from ..engine.alerting import AboutData, Alerting, Display
from ..engine.case import Case
from ..engine.evaluate import Evaluation, Outcome, evaluate_rule
from ..engine.facts import Criterion, Fact
from ..engine.rows.readings import Row
from ..engine.series import newest, oldest, sustained_rows

_DISPUTABLE = ("observation", "wearable_alert", "wearable")
"""Kinds of facts whose rows a device or a person has measured."""


def evidence_of(evaluation: Evaluation) -> tuple[str, ...]:
    """References of what the true criteria of the rule and of its card rest on.

    Nothing rests on what is absent; a row without an id cannot be named.
    """
    rule, card, case = evaluation.rule, evaluation.card, evaluation.case
    trees = [rule.when, *([card.when] if card and card.when else ())]
    rows = (row for tree in trees for row in _rows(tree, rule.facts, case))
    return tuple(sorted({row.evidence for row in rows} - {""}))


def _rows(node: Criterion, facts: Mapping[str, Fact], case: Case) -> Iterator[Row]:
    verdict = node.verdict(case)
    if verdict is False or node.operator in ("none", "absent"):
        return
    for child in node.children:
        yield from _rows(child, facts, case)
    fact = facts.get(node.fact)
    if fact and fact.kind in _DISPUTABLE and verdict is True:
        yield from _tested(node, fact, case)


def _tested(node: Criterion, fact: Fact, case: Case) -> Iterable[Row]:
    """Of a fact's rows those on which a true test of it rests."""
    rows = case.found(fact).rows
    if fact.alert_tests:
        tests = fact.alert_tests
        return [row for row in rows if any(test(row, case.now) for test in tests)]
    return _chosen(node.text.split()[1], rows, fact)


def _chosen(word: str, rows: Sequence[Row], fact: Fact) -> Sequence[Row]:
    valued = [(row, row.value) for row in rows if row.value is not None]
    if word == "latest" and rows:
        return newest(rows)
    if word == "earliest" and rows:
        return oldest(rows)
    if word == "max" and valued:
        bound = max(value.low for _, value in valued)
        return [row for row, value in valued if value.high >= bound]
    if word == "min" and valued:
        bound = min(value.high for _, value in valued)
        return [row for row, value in valued if value.low <= bound]
    if word == "sustained" and fact.sustained_for:
        return sustained_rows(rows, fact.sustained_for.length)
    return rows


def weigh(
    displays: Sequence[Display],
    about_data: AboutData,
    call: Mapping[str, str | None],
    now: datetime,
    zone: tzinfo,
) -> tuple[Display, ...]:
    """The displays, each with whose it was and until when its data count as wrong.

    Args:
        call: ``user`` and ``encounter`` of whoever asks now.
    """
    until: dict[tuple[str, datetime], datetime] = {}
    for each in displays:
        length = about_data.lasts(each.rule, each.reason) if each.overridden else None
        if each.overridden and length and each.evidence:
            end = length.after(each.overridden, zone)
            if now < end:
                until[each.rule, each.at] = end
    return tuple(
        replace(
            each,
            mine=_is_mine(each, call),
            disputed_until=until.get((each.told_under or each.rule, each.at)),
        )
        for each in displays
    )


def _is_mine(display: Display, call: Mapping[str, str | None]) -> bool:
    """Return whether the same user was shown it; without one, in the same encounter."""
    user, encounter = call.get("user") or None, call.get("encounter") or None
    if user or display.user:
        return user == display.user
    return encounter is not None and encounter == display.encounter


def disputes(displays: Iterable[Display], alerting: Alerting) -> list[Display]:
    """The displays whose data count as wrong for a card with this alerting."""
    return [
        each
        for each in displays
        if each.disputed_until and (each.mine or alerting.is_for_all)
    ]


def evaluate_without(
    evaluation: Evaluation, references: Collection[str]
) -> Evaluation | None:
    """Return what the rule says without these readings and alerts; None for no card.

    Where what was not read may show a card without them, it is said so.
    """
    again = evaluate_rule(evaluation.rule, evaluation.case.without(references))
    if again.outcome is Outcome.FIRES:
        return again
    return replace(again, noted=False) if again.could_not_check else None
