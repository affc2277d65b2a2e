"""What alerting makes of a card that a rule asks for, as a server's database has it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from ...rulebook.cards import (
    BuiltCard,
    Suppressed,
    decide,
    draft_cards,
    look_back,
    may_be_held,
    stamp,
)
from ...rulebook.engine import (
    Case,
    Display,
    Evaluations,
    Lookback,
    Rule,
    ServiceRules,
    evaluate_rule,
)
from ...store.records import StoreError
from ...wearables.records import PatientKey
from ..database import open_store
from .stored_wearables import Whereabouts, database_options


@dataclass(frozen=True, slots=True)
class History:
    """Whose earlier displays are asked for, and where they are."""

    url: str
    tenant: str
    fhir_base: str
    call: Mapping[str, str | None]
    """``user`` and ``encounter``, where ``once_per`` asks for them."""


@dataclass(frozen=True, slots=True)
class AlertingNow:
    """What alerting would do with the rule's card now, and what that rests on."""

    card: BuiltCard | None
    """None where the rule has no card to show."""
    suppressed: Suppressed | None
    displays: tuple[Display, ...]
    """Of this card's key, newest first."""


def history_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return options that name a database, and who asks.

    The command gets ``whereabouts``, and ``history``, both None without a database.
    """

    @click.option("--user", help="The user, for rules with once_per: user.")
    @click.option(
        "--encounter", help="The encounter, for rules with once_per: encounter."
    )
    @wraps(command)
    def with_history(
        whereabouts: Whereabouts | None,
        user: str | None,
        encounter: str | None,
        **arguments: Any,
    ) -> None:
        call, at = {"user": user, "encounter": encounter}, whereabouts
        history = History(at.url, at.tenant, at.fhir_base, call) if at else None
        command(history=history, whereabouts=at, **arguments)

    return database_options(with_history)


def tell_alerting(
    rule: Rule, service: ServiceRules, case: Case, history: History
) -> None:
    """Print what alerting would do now."""
    for line in as_lines(ask_alerting(rule, service, case, history)):
        click.echo(line)


def alerting_json(
    rule: Rule, service: ServiceRules, case: Case, history: History
) -> dict[str, Any]:
    """Return what alerting would do now, for a program."""
    return as_json(ask_alerting(rule, service, case, history))


def ask_alerting(
    rule: Rule, service: ServiceRules, case: Case, history: History
) -> AlertingNow:
    """Return what alerting would do now; the database is read and not changed.

    All rules of the service are asked, since they share groups and limits.
    """
    rules = service.program.candidates(case.index)
    items = tuple(
        evaluate_rule(each, case) for each in rules if each.in_force(case.today)
    )
    evaluations = Evaluations(items, case)
    drafts = draft_cards(evaluations, service.service, history.call)
    limits, zone = service.site.limits, service.site.time_zone
    lookback = look_back(drafts, limits, case.now, zone, service.about_data)
    displays = read_displays(case.chart.patient_id, lookback, history)
    held = decide(evaluations, drafts, displays, service, history.call)
    card = next((each for each in drafts if each.rule == rule.id), None)
    why = (each for each in held.suppressed if each.card.rule == rule.id)
    key = card.dedup_key if card else None
    same = tuple(each for each in displays if each.dedup_key == key)
    return AlertingNow(card, next(why, None), same)


def read_displays(
    patient: str, lookback: Lookback | None, history: History
) -> tuple[Display, ...]:
    """Return the patient's earlier displays.

    Raises:
        click.ClickException: if they cannot be read.
    """
    store = open_store(history.url)
    try:
        if lookback is None:
            return ()
        key = PatientKey(history.tenant, history.fhir_base, patient)
        return store.displays(key, lookback)
    except StoreError as error:
        raise click.ClickException(f"{history.url}: {error}") from error
    finally:
        store.close()


def as_lines(told: AlertingNow) -> Iterator[str]:
    """Yield what alerting would do, and the displays and overrides that it rests on."""
    if told.card is None:
        yield "alerting: there is no card to show or hold back"
        return
    if told.suppressed:
        until = told.suppressed.until
        when = f" until {stamp(until)}" if until else ""
        held = f"{told.suppressed.why}: {told.suppressed.detail}"
        yield f"alerting: held back{when}, {held}"
    else:
        yield f"alerting: shown{why_always(told.card)}"
    for each in told.displays:
        heard = f", overridden {stamp(each.overridden)}" if each.overridden else ""
        reason = f" ({each.reason})" if each.reason else ""
        severity = each.indicator.name.lower()
        yield f"  shown {stamp(each.at)}: {severity}, {each.version}{heard}{reason}"


def why_always(card: BuiltCard) -> str:
    """Return why the card is shown whatever was before; empty where that matters."""
    if not may_be_held(card):
        return ", as every critical card whose rule does not allow to hold it back"
    if card.alerting.looks_back and not card.comparable:
        return ": something is not known that `once_per` names (--user, --encounter)"
    return ""


def as_json(told: AlertingNow) -> dict[str, Any]:
    """Return the same for a program."""
    held = told.suppressed
    return {
        "shown": told.card is not None and held is None,
        "why": held.why.value if held else None,
        "until": stamp(held.until) if held and held.until else None,
        "detail": held.detail if held else None,
        "displays": [
            {
                "at": stamp(each.at),
                "indicator": each.indicator.name.lower(),
                "version": each.version,
                "overridden": stamp(each.overridden) if each.overridden else None,
                "reason": each.reason or None,
            }
            for each in told.displays
        ],
    }
