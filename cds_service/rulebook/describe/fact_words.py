"""A fact and a test of it, as a clinician would say them. Markdown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..engine.facts import Fact
from ..engine.rows.selectors import DayValue, Selector, Silence, Unjudged
from ..language.criterion_tree import Bound, Value
from ..values.escaping import inert
from ..values.intervals import Duration
from ..values.text import format_quantity
from .meaning import Clause
from .worn_words import (
    counted_words,
    coverage_words,
    days_words,
    presence_words,
    readings_words,
    stream_words,
    value_words,
)

_LIMITS = {
    "above": "above {}",
    "at_least": "{} or more",
    "below": "below {}",
    "at_most": "{} or less",
    "equals": "exactly {}",
}
_COUNTS = {
    "above": "more than {}",
    "at_least": "at least {}",
    "below": "fewer than {}",
    "at_most": "at most {}",
    "equals": "exactly {}",
}
_AGO = {
    "above": "more than {} ago",
    "at_least": "{} ago or more",
    "below": "less than {} ago",
    "at_most": "{} ago or less",
}
_REDUCED = {
    "latest": "the latest",
    "earliest": "the first",
    "min": "the lowest",
    "max": "the highest",
    "mean": "the mean",
    "median": "the median",
}
_PROBLEMS = {
    "active": "an active problem",
    "not_resolved": "a problem that is not resolved",
    "resolved": "a past problem",
    "any": "a problem, active or past",
}
_OF_ALERT = {
    "value": "a value",
    "typical": "a value for most of the time",
    "threshold": "a limit set on the device",
    "coverage": "readings for a share of its time",
    "duration": "a duration",
    "local_time": "a start by the wearer's clock",
}

_OF_DAYS: Mapping[str, tuple[Callable[[Fact, str, str], str], Mapping[str, str]]] = {
    "days": (days_words, _COUNTS),
    "coverage": (coverage_words, _LIMITS),
}
"""What is asked of how much days tell: how it is said, and its limits."""

_ENDED = {
    "open": (" that still lasts", " that still last"),
    "closed": (" that has ended", " that have ended"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """Says the tests of facts; knows what each fact selects."""

    selectors: Sequence[Selector]

    def test(self, fact: Fact, clause: Clause) -> str:
        """A clause about a fact as a sentence without its full stop."""
        if clause.kind in ("present", "absent"):
            return self._presence(fact, clause.kind == "present")
        if fact.kind == "score":
            return f"the score {self.title(fact)} is {limits(clause.bounds, fact)}"
        if clause.kind == "alert":
            return self._one_alert(fact, clause)
        if clause.kind in _OF_DAYS:
            said = limits(clause.bounds, fact, _OF_DAYS[clause.kind][1])
            last = last_words(fact, " of the last {}")
            return _OF_DAYS[clause.kind][0](fact, said, last)
        if clause.kind == "count":
            said = limits(clause.bounds, fact, _COUNTS)
            return f"there are {said} {self.rows(fact)}"
        if clause.kind in _REDUCED:
            said = limits(clause.bounds, fact)
            return f"{_REDUCED[clause.kind]} {self.value(fact)} is {said}"
        return _SERIES[clause.kind](self.value(fact), clause, fact)

    def title(self, fact: Fact) -> str:
        """Return what a fact is about, in emphasis."""
        titles = (fact.title or fact.name).split(" / ")
        return " or ".join(f"*{inert(each)}*" for each in titles)

    def rows(self, fact: Fact) -> str:
        """Return what a fact finds, in the plural."""
        title, last = self.title(fact), last_words(fact, " from the last {}")
        worn = self._worn(fact)
        if isinstance(worn, DayValue):
            return readings_words(fact, last)
        if worn is not None:
            return counted_words(fact, worn, last)
        if fact.kind == "condition":
            kind = _PROBLEMS[self._status(fact)].partition(" ")[2]
            kind = kind.replace("problem", "problems", 1)
            kind = kind.replace("that is", "that are")
            of = _listed_as(self._selector(fact))
            return f"{kind} recorded as {title}{_began(fact)}{of}"
        if fact.kind == "medication":
            return f"medicines of the set {title}{_taken(fact)}"
        if fact.kind == "wearable_alert":
            return f"wearable alerts {title}{last}{self._ended(fact, many=True)}"
        return f"results for {title}{last}"

    def value(self, fact: Fact) -> str:
        """The number that a fact has, as the subject of a sentence."""
        title, last = self.title(fact), last_words(fact, " of the last {}")
        worn = self._worn(fact)
        if isinstance(worn, DayValue):
            return value_words(fact, worn, last)
        if fact.kind == "wearable_alert":
            ended = self._ended(fact, many=True)
            return f"value among the wearable alerts {title}{last}{ended}"
        return f"{title}{last}"

    def _presence(self, fact: Fact, present: bool) -> str:
        title = self.title(fact)
        if fact.kind == "condition":
            problem = _PROBLEMS[self._status(fact)]
            if self._selector(fact).confirmed:
                problem = f"a confirmed {problem.partition(' ')[2]}"
            problem += _listed_as(self._selector(fact))
            if present:
                return f"{title} is recorded as {problem}{_began(fact)}"
            if fact.window:
                return f"no {title}{_began(fact)} is recorded as {problem}"
            return f"{title} is not recorded as {problem}"
        if fact.kind == "medication":
            return self._medicine(fact, title, present)
        last, worn = last_words(fact, " from the last {}"), self._worn(fact)
        if isinstance(worn, DayValue):
            return presence_words(fact, last, present)
        if worn is not None:
            last = last_words(fact, " in the last {}")
            return stream_words(fact, worn, last, present)
        if fact.kind == "wearable_alert":
            return f"there is a wearable alert {title}{last}{self._ended(fact)}"
        return f"there is {'a' if present else 'no'} result for {title}{last}"

    def _medicine(self, fact: Fact, title: str, present: bool) -> str:
        selector = self._selector(fact)
        named = f"medicine of the set {title}"
        if selector.origin == "draft_orders":
            return f"{'a' if present else 'no'} {named} is being ordered"
        if not present:
            kind = {"current": "current ", "stopped": "stopped "}.get(
                selector.status, ""
            )
            return f"no {kind}{named}{_taken(fact)} is found"
        length = fact.window.length if fact.window else None
        if fact.window and fact.window.rule == "taken_for":
            return (
                f"the patient has taken a {named} for {length} or more, "
                "or since a date that is not recorded"
            )
        if fact.window:
            return f"the patient started a {named} in the last {length}"
        verb = {"current": "takes", "stopped": "has stopped"}.get(
            selector.status, "takes or took"
        )
        return f"the patient {verb} a {named}"

    def _one_alert(self, fact: Fact, clause: Clause) -> str:
        said = []
        asked = dict.fromkeys(each.attribute for each in clause.bounds)
        for attribute in (each for each in asked if each != "count"):
            bounds = _of(clause, attribute)
            if attribute == "age":
                said.append(f"an end {limits(bounds, fact, _AGO)}")
                continue
            shown = limits(bounds, fact)
            named = [each.comparison for each in bounds]
            of = "of " if named in (["at_least"], ["at_most"]) else ""
            said.append(f"{_OF_ALERT[attribute]} {of}{shown}")
        last, told = last_words(fact, " from the last {}"), _listed(said)
        if "count" not in asked:
            ended = self._ended(fact)
            return f"a wearable alert {self.title(fact)}{last}{ended} has {told}"
        number = limits(_of(clause, "count"), fact, _COUNTS)
        ended = self._ended(fact, many=True)
        return f"{number} wearable alerts {self.title(fact)}{last}{ended} have {told}"

    def _ended(self, fact: Fact, *, many: bool = False) -> str:
        """Check if the alerts that a fact reads last; empty where it reads both."""
        one, several = _ENDED.get(self._status(fact), ("", ""))
        return several if many else one

    def _worn(self, fact: Fact) -> DayValue | Silence | Unjudged | None:
        return self._selector(fact).worn if fact.slots else None

    def _selector(self, fact: Fact) -> Selector:
        return self.selectors[fact.slots[0]]

    def _status(self, fact: Fact) -> str:
        return self._selector(fact).status


def _listed(said: Sequence[str]) -> str:
    if len(said) < 3:
        return " and ".join(said)
    return f"{', '.join(said[:-1])} and {said[-1]}"


def _of(clause: Clause, attribute: str) -> list[Bound]:
    return [each for each in clause.bounds if each.attribute == attribute]


def limits(
    bounds: Sequence[Bound], fact: Fact | None, words: Mapping[str, str] = _LIMITS
) -> str:
    """Comparisons in words: ``above 100 /min``, ``from 90 to below 120 /min``."""
    shown = [quantity(each, fact) for each in bounds]
    if [each.comparison for each in bounds] == ["at_least", "below"]:
        if bounds[0].attribute == "local_time":
            return f"between {shown[0]} and {shown[1]}"
        return f"from {shown[0]} to below {shown[1]}"
    return " and ".join(
        words[each.comparison].format(text)
        for each, text in zip(bounds, shown, strict=True)
    )


def quantity(bound: Bound, fact: Fact | None) -> str:
    """A limit with its unit."""
    if bound.attribute == "coverage" and isinstance(bound.value, float):
        return f"{bound.value * 100:g} %"
    plain = bound.attribute in ("count", "days") or fact is None
    return value_text(bound.value, "" if plain or fact is None else fact.unit)


def value_text(value: Value, unit: str) -> str:
    """A number with its unit, a length of time, or a time of day."""
    if isinstance(value, Duration | str):
        return str(value)
    return format_quantity(value, unit) if unit else f"{value:g}"


def last_words(fact: Fact, pattern: str) -> str:
    """Return how far back a fact looks; empty where it looks back for ever."""
    if fact.window is None or fact.window.rule != "within":
        return ""
    length = fact.window.length
    shown = f"{length.unit}" if length.count == 1 else str(length)
    return pattern.format(shown)


def _began(fact: Fact) -> str:
    if fact.window is None:
        return ""
    if fact.window.rule == "recorded_within":
        return f" that was entered in the last {fact.window.length}"
    return f" that began in the last {fact.window.length}"


_CATEGORIES = {
    "problem-list-item": "on the problem list",
    "encounter-diagnosis": "as a diagnosis of an encounter",
    "health-concern": "as a health concern",
}


def _listed_as(selector: Selector) -> str:
    named = [_CATEGORIES[each] for each in selector.categories]
    return f", {' or '.join(named)}" if named else ""


def _taken(fact: Fact) -> str:
    if fact.window is None:
        return ""
    if fact.window.rule == "taken_for":
        return f" taken for {fact.window.length} or more"
    return f" started in the last {fact.window.length}"


def _sustained(subject: str, clause: Clause, fact: Fact) -> str:
    share, least = clause.options["share"], clause.options["readings"]
    how = "in all readings" if share == 1 else f"in {share * 100:g} % of the readings"
    return (
        f"{subject} is {limits(clause.bounds, fact)} {how} of the "
        f"{clause.options['for']} up to the newest, at least {least:g} of them"
    )


def _on_days(subject: str, clause: Clause, fact: Fact) -> str:
    days, window = clause.options["days"], fact.window
    noun = "day" if days == 1 else "days"
    said = f"*{inert(fact.title or fact.name)}* is {limits(clause.bounds, fact)}"
    if window and window.length.unit == "day" and window.length.count > 1:
        return f"on at least {days:g} of the last {window.length}, {said}"
    within = last_words(fact, " of the last {}")
    return f"on at least {days:g} {noun}{within}, {said}"


def _changed(subject: str, clause: Clause, fact: Fact) -> str:
    verb = {"rise": "risen", "fall": "fallen"}[clause.kind]
    over = clause.options["over"]
    return (
        f"{subject} has {verb} by {limits(clause.bounds, fact, _COUNTS)} within {over}"
    )


def _repeated(subject: str, clause: Clause, fact: Fact) -> str:
    times, apart = clause.options["times"], clause.options["apart"]
    return (
        f"{subject} is {limits(clause.bounds, fact)} in at least {times:g} readings "
        f"that lie {apart} or more apart"
    )


_SERIES: Mapping[str, Callable[[str, Clause, Fact], str]] = {
    "sustained": _sustained,
    "on_days": _on_days,
    "rise": _changed,
    "fall": _changed,
    "repeated": _repeated,
}
