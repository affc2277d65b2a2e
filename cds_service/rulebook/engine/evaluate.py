"""Rules asked of one patient at one time: what fires, and what is not known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from ...fhir.chart import Chart
from ...fhir.moments import EVER
from ...protocol.cards import Indicator
from ...wearables.worn import Wearables, WearablesAsked
from ..values import truth
from ..values.text import PARAMETER, Text
from ..values.truth import Reason, Unknown, Verdict
from .attributes import show, show_param, show_patient
from .case import Case
from .facts import Criterion
from .rows.readings import Row
from .rows.selectors import DayValue, Silence, Unjudged
from .rulebook import ServiceRules
from .rules import CardTemplate, Rule

OF_A_ROW = timedelta(days=30)
"""So far back those are read that opened before one that lasts, and are of its row."""


class Outcome(StrEnum):
    """What came of a rule."""

    FIRES = "fires"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one rule said of one case, and why."""

    rule: Rule
    case: Case
    outcome: Outcome
    card: CardTemplate | None = None
    """The card to show, where the rule fires."""
    reasons: tuple[Reason, ...] = ()
    """Why it is unknown; where it fires, why its severity is uncertain."""
    could_not_check: bool = False
    """What could not be read may change whether a card is shown."""
    noted: bool = False
    """The rule asks for a note about what is not known."""
    severity_uncertain: bool = False
    """A more severe card of the rule is unknown."""
    by_name: tuple[str, ...] = ()
    """Medicines of the rule that only their name identified, by ingredient."""
    decided_by_name: bool = False
    """A condition asks for one of them: without it the card would perhaps not be."""
    at_most: Indicator | None = None
    """How severe the card may be for what is not history; None for any."""

    def text(self, fact: str, attribute: str) -> Text | None:
        """Return what a placeholder of this rule shows; None if it has no value."""
        if fact == PARAMETER:
            return show_param(self.rule.params[attribute])
        if fact == "patient":
            return show_patient(self.case, attribute)
        return show(self.case, self.rule.facts[fact], attribute)

    def newest(self, fact: str) -> Row | None:
        """The newest row of a fact; None where it has none."""
        rows = self.case.found(self.rule.facts[fact]).rows
        return rows[-1] if rows else None


@dataclass(frozen=True, slots=True)
class Evaluations:
    """What the rules of a service said of one case."""

    items: tuple[Evaluation, ...]
    """In rule order. A rule of the service that is not here did not fire: what it
    cannot do without was read and is not there."""
    case: Case


def evaluate(
    service: ServiceRules,
    chart: Chart,
    wearables: Wearables,
    now: datetime,
    *,
    may_disclose: bool = True,
    draws: bool = True,
) -> Evaluations:
    """Every rule of *service* that may have something to say about the patient.

    Args:
        wearables: The patient's, as far as they may be used.
        now: Aware; every window and age counts from it.
        may_disclose: Whether a resource for the EHR may quote wearables.
        draws: Whether text may draw days as a row of bars.
    """
    case = open_case(service, chart, wearables, now)
    case.may_disclose, case.draws = may_disclose, draws
    return evaluate_case(service, case)


def evaluate_case(service: ServiceRules, case: Case) -> Evaluations:
    """Every rule of *service* that may have something to say about the case."""
    return _evaluate(service.program.candidates(case.index), case)


def ask_all(service: ServiceRules, case: Case) -> Evaluations:
    """Every rule of *service*, also one that cannot fire for want of what it needs."""
    return _evaluate(service.rules, case)


def _evaluate(rules: Iterable[Rule], case: Case) -> Evaluations:
    today = case.today
    items = tuple(evaluate_rule(rule, case) for rule in rules if rule.in_force(today))
    return Evaluations(items, case)


def open_case(
    service: ServiceRules,
    chart: Chart,
    wearables: Wearables,
    now: datetime,
) -> Case:
    """The case that the rules of *service* are asked of."""
    site = service.site
    return Case(
        service.program.selectors,
        chart,
        wearables,
        now,
        site.time_zone,
        site.ignore_unresolved,
        site.reading,
    )


def evaluate_rule(rule: Rule, case: Case) -> Evaluation:
    """Return what one rule says of a case."""
    verdict = rule.when.verdict(case)
    if verdict is False:
        return Evaluation(rule, case, Outcome.NO)
    asked = [(card, _card_verdict(card, case)) for card in rule.cards]
    doubts: list[Unknown] = []
    for card, answer in asked:
        if verdict is True and answer is True:
            return _fires(rule, case, card, doubts)
        if isinstance(answer, Unknown):
            doubts.append(answer)
    whole = truth.all_of([verdict, truth.any_of(answer for _, answer in asked)])
    if not isinstance(whole, Unknown):
        return Evaluation(rule, case, Outcome.NO)
    if rule.if_unknown == "fire" and not whole.may_be_false:
        likely = next(card for card, answer in asked if answer is not False)
        return _fires(rule, case, likely, [whole])
    overlooked = whole.may_be_false if rule.if_unknown == "fire" else whole.may_be_true
    return Evaluation(
        rule,
        case,
        Outcome.UNKNOWN,
        reasons=whole.reasons,
        could_not_check=overlooked,
        noted=rule.if_unknown == "note",
    )


def _card_verdict(card: CardTemplate, case: Case) -> Verdict:
    return True if card.when is None else card.when.verdict(case)


def _fires(
    rule: Rule, case: Case, card: CardTemplate, doubts: Sequence[Unknown]
) -> Evaluation:
    named = _named_only(rule, case)
    conditions = [rule.when, card.when] if card.when is not None else [rule.when]
    asked = {name for each in conditions for name in _asked(each)} if named else set()
    return Evaluation(
        rule,
        case,
        Outcome.FIRES,
        card=card,
        reasons=tuple(reason for doubt in doubts for reason in doubt.reasons),
        severity_uncertain=bool(doubts),
        by_name=tuple(dict.fromkeys(n for names in named.values() for n in names)),
        decided_by_name=not asked.isdisjoint(named),
        at_most=_without_history(rule, case),
    )


def _without_history(rule: Rule, case: Case) -> Indicator | None:
    """How severe a card is without alerts that were history when they were found.

    None where there are none; what rests on them alone is information.
    """
    if not any(fact.kind == "wearable_alert" for fact in rule.facts.values()):
        return None
    past = case.without_history()
    if past is None:
        return None
    again = evaluate_rule(rule, past)
    if again.outcome is Outcome.FIRES and again.card is not None:
        return again.card.severity
    return Indicator.INFO


def _named_only(rule: Rule, case: Case) -> Mapping[str, Iterable[str]]:
    """The facts of which no code identified a medicine, with those names."""
    named: dict[str, Iterable[str]] = {}
    for name, fact in rule.facts.items():
        if fact.kind == "medication" and not case.index.named.isdisjoint(fact.slots):
            rows = case.found(fact).rows
            if rows and all(row.by_name for row in rows):
                called = (each for row in rows for each in case.called(fact, row))
                named[name] = dict.fromkeys(called)
    return named


def _asked(criterion: Criterion) -> Iterator[str]:
    """The facts that a condition asks for."""
    yield criterion.fact
    for child in criterion.children:
        yield from _asked(child)


def wearables_asked(service: ServiceRules, now: datetime) -> WearablesAsked:
    """Return what the rules ask of wearables, and how far back they look."""
    zone = service.site.time_zone
    # Where the wearer is it may be another day than here.
    today = now.astimezone(zone).date() - timedelta(days=1)
    alerts: dict[str, datetime] = {}
    streams = set[str]()
    days: dict[tuple[str, str], date] = {}
    detectors: dict[str, date] = {}
    for taken, window in service.program.worn:
        first = window.length.shift(today, -1) if window else date.min
        match taken.worn:
            case None:
                since = EVER.low
                if window is not None:
                    since = window.length.before(now, zone)
                elif taken.status == "open":
                    since = now - OF_A_ROW
                for each in taken.types:
                    alerts[each] = min(since, alerts.get(each, since))
            case DayValue(metric, _, part):
                days[metric, part] = min(first, days.get((metric, part), first))
            case Silence(metric):
                streams.add(metric)
            case Unjudged(detector):
                detectors[detector] = min(first, detectors.get(detector, first))
    return WearablesAsked(alerts, days, frozenset(streams), detectors)
