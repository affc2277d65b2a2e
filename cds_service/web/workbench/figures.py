"""How often rules fire, are shown, held back and overridden; figures for a page. Pure.

A share of few is named as what it is: three of seven say little, and 43 % would not
show that.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from ...rulebook.engine import Rule, Rulebook
from ...store.reports import RuleReport, Sampled

FEW = 30
"""Below this, a share is told as so many of so many."""
ORDERS = {
    "name": "Name",
    "status": "Status",
    "review": "Review date",
    "fires": "Fires most",
    "overridden": "Overridden most",
}
"""By what the list may be sorted."""
NEVER = date.max
"""Stands behind all dates."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """From 0 to 1; 0 where there is no whole."""
        return self.part / self.whole if self.whole else 0.0

    def __str__(self) -> str:
        if not self.whole:
            return "–"
        if self.whole < FEW:
            return f"{self.part} of {self.whole}"
        percent = 100 * self.value
        digits = 1 if 0 < percent < 10 else 0
        return f"{percent:.{digits}f} %"


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """What became of one version of a rule in the calls that were looked at."""

    version: str
    fires: Share
    """Of the calls of its services."""
    unknown: Share
    shown: Share
    """Cards that were shown, of those that it had: the others were held back."""
    held_back: Share
    overridden: Share
    """Of the cards that were shown."""
    reasons: tuple[tuple[str, int], ...] = ()
    """Codes of override reasons, the most frequent first."""
    why_held: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule of the list."""

    rule: Rule
    status: str
    is_overdue: bool
    figures: tuple[VersionFigures, ...]
    """Of the version that is served, then of those before."""

    @property
    def name(self) -> str:
        """By which it is listed and looked for."""
        return self.rule.id

    @property
    def now(self) -> VersionFigures:
        """Of the version that is served."""
        return self.figures[0]


@dataclass(frozen=True, slots=True)
class RulesWanted:
    """Which rules are listed, in which order."""

    text: str = ""
    status: str = ""
    order: str = "name"


def list_rules(
    rulebook: Rulebook, sampled: Sampled, today: date, wanted: RulesWanted
) -> list[RuleRow]:
    """Return the rules that are wanted, in their order."""
    by_rule: dict[str, list[RuleReport]] = {}
    for each in sampled.rules:
        by_rule.setdefault(each.rule, []).append(each)
    asked = _calls_of_rules(rulebook, sampled.calls)
    rows = [
        _row(rule, by_rule.get(rule.id, ()), asked[rule.id], today)
        for rule in rulebook.rules.values()
        if _matches(rule, wanted)
    ]
    return sorted(rows, key=lambda row: (_rank(row, wanted.order), row.name))


def status_of(rule: Rule) -> str:
    """Return what becomes of it: an active rule may be a shadow until approved."""
    return rule.status if rule.status != "active" or rule.served else "shadow"


def _calls_of_rules(
    rulebook: Rulebook, calls: Mapping[tuple[str, str], int]
) -> Counter[str]:
    asked = Counter[str]()
    for key, service in rulebook.services.items():
        for rule in service.rules:
            asked[rule.id] += calls.get(key, 0)
    return asked


def _matches(rule: Rule, wanted: RulesWanted) -> bool:
    if wanted.status not in ("", status_of(rule)):
        return False
    told = f"{rule.id} {rule.title} {rule.owner} {rule.file}".lower()
    return all(word in told for word in wanted.text.lower().split())


def _rank(row: RuleRow, order: str) -> str | date | float:
    match order:
        case "status":
            return row.status
        case "review":
            return row.rule.review_by or NEVER
        case "fires":
            return -row.now.fires.value
        case "overridden":
            return -row.now.overridden.value
    return ""


def _row(rule: Rule, reports: Iterable[RuleReport], calls: int, today: date) -> RuleRow:
    known = {each.version: each for each in reports}
    current = known.pop(rule.version, RuleReport(rule.id, rule.version))
    ordered = [current, *sorted(known.values(), key=_newest_first)]
    overdue = rule.review_by is not None and today > rule.review_by
    figures = tuple(_figures(each, calls) for each in ordered)
    return RuleRow(rule, status_of(rule), overdue and rule.in_force(today), figures)


def _newest_first(report: RuleReport) -> list[int]:
    return [-int(each) if each.isdigit() else 0 for each in report.version.split(".")]


def _figures(report: RuleReport, calls: int) -> VersionFigures:
    held = sum(report.held_back.values())
    cards = report.shown + held
    return VersionFigures(
        report.version,
        Share(report.fired, calls),
        Share(report.unknown, calls),
        Share(report.shown, cards),
        Share(held, cards),
        Share(report.overridden, report.shown),
        tuple((code, n) for (_, code), n in report.reasons.most_common()),
        tuple(report.held_back.most_common()),
    )
