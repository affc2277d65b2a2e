"""A first rule from a few answers: what a rulebook offers for it, and what is a slip.

The texts are written by ``scaffold_text``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ...fhir.code_systems import SYSTEMS, canonical_system, normalise_code
from ...wearables.records import AlertType
from ..compile.compiler import Compiled, kind_of
from ..language.diagnostics import quote, suggest
from ..language.tree import ObservationFact, RuleTree
from ..terminology.valuesets import ValueSet


class Slip(ValueError):
    """An answer that cannot be used; says why and what to do."""


@dataclass(frozen=True, slots=True)
class WrittenLimit:
    """A limit as it was written."""

    comparison: str
    """``above``, ``at_least``, ``below`` or ``at_most``."""
    number: str
    unit: str = ""
    """UCUM; empty if the answer did not say."""
    within: str = ""
    """How old a reading may be; empty if the answer did not say."""

    def value(self, steps: int) -> str:
        """The limit moved by *steps* of its last digit, beyond itself if positive."""
        number = Decimal(self.number)
        last = Decimal(1).scaleb(int(number.as_tuple().exponent))
        up = self.comparison in ("above", "at_least")
        return str(number + (steps if up else -steps) * last)

    @property
    def holds_at(self) -> bool:
        """Whether the limit itself counts as beyond."""
        return self.comparison in ("at_least", "at_most")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the rule is about; what is empty plays no part in it."""

    drug: str = ""
    """A value set, as are diagnosis and result."""
    diagnosis: str = ""
    result: str = ""
    alert: str = ""
    """A type of wearable alert."""
    limit: WrittenLimit | None = None
    severity: str = "info"
    exclude: tuple[str, ...] = ()
    """Value sets of problems and medicines with which the rule is silent."""

    @property
    def sets(self) -> tuple[str, ...]:
        """Every value set that the rule reads."""
        asked = (self.drug, self.diagnosis, self.result, *self.exclude)
        return tuple(each for each in asked if each)


@dataclass(frozen=True, slots=True)
class Stock:
    """What a rulebook offers for a new rule."""

    valuesets: Mapping[str, ValueSet]
    alert_types: Mapping[str, AlertType]
    rules: frozenset[str]
    files: Mapping[str, Any]
    """The data of each value-set file, by the name of the set."""
    readings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Unit and window that rules use for a value set of results."""
    pages: frozenset[str] = frozenset()
    """The pages of this server that the site has names for."""

    def sets_of(self, kind: str) -> Mapping[str, str]:
        """Name and title of the sets of a kind: ``drug``, ``diagnosis``, ``result``."""
        return {
            name: each.title
            for name, each in sorted(self.valuesets.items())
            if kind_of_set(each) == kind
        }

    def choose(self, kind: str, answer: str) -> str:
        """The value set that an answer names.

        Raises:
            Slip: if there is none of this kind.
        """
        offered = self.sets_of(kind)
        if answer in offered:
            return answer
        if answer in self.valuesets:
            other = kind_of_set(self.valuesets[answer])
            raise Slip(f"{quote(answer)} contains codes of a {other}, not of a {kind}")
        near = suggest(answer, offered)
        raise Slip(
            f"there is no value set {quote(answer)}; {near or 'write ? for all'}"
        )

    def choose_alert(self, answer: str) -> str:
        """The type of wearable alert that an answer names.

        Raises:
            Slip: if there is none.
        """
        if answer in self.alert_types:
            return answer
        near = suggest(answer, self.alert_types)
        raise Slip(
            f"there is no alert type {quote(answer)}; {near or 'write ? for all'}"
        )

    def choose_limit(
        self, answer: WrittenLimit, result: str, alert: str
    ) -> WrittenLimit:
        """A limit with its unit and, for a result, the window that rules use.

        Raises:
            Slip: if the unit is not known.
        """
        if not result:
            unit = self.alert_types[alert].unit
            if not unit:
                raise Slip(f"{quote(alert)} has no value, so it has no limit")
            if answer.unit not in ("", unit):
                raise Slip(f"the value of {quote(alert)} is in {unit}")
            return WrittenLimit(answer.comparison, answer.number, unit, answer.within)
        unit, within = self.readings.get(result, ("", ""))
        unit = answer.unit or unit
        if not unit:
            raise Slip(
                f"give the unit as well, in UCUM, such as `{answer.comparison} "
                f"{answer.number} mmol/L`; no rule here has one for {quote(result)}"
            )
        self._check_plausible(answer, result, unit)
        return WrittenLimit(
            answer.comparison, answer.number, unit, answer.within or within
        )

    def _check_plausible(self, answer: WrittenLimit, result: str, unit: str) -> None:
        """A limit, and the readings on its sides, are among those that are used."""
        believed = self.valuesets[result].measure.range_in(unit)
        sides = [float(answer.value(step)) for step in (-1, 1)]
        if believed and not (believed[0] <= min(sides) and max(sides) <= believed[1]):
            low, high = believed
            raise Slip(
                f"{answer.number} {unit} is not within {low:g} to {high:g} {unit}, "
                f"beyond which no value of {quote(result)} is used"
            )


def build_stock(compiled: Compiled) -> Stock:
    """Return what the rulebook that was compiled offers.

    Raises:
        Slip: if it has errors.
    """
    rulebook = compiled.rulebook
    if rulebook is None:
        raise Slip("the rules have errors; correct those first")
    documents = compiled.documents.items()
    sets = [each.data for file, each in documents if kind_of(file) == "valueset"]
    return Stock(
        rulebook.valuesets,
        rulebook.catalogue.alert_types,
        frozenset(rulebook.rules),
        {each["valueset"]: each for each in sets if "valueset" in each},
        _readings(compiled.trees.values()),
        frozenset(rulebook.site.pages),
    )


def _readings(rules: Iterable[RuleTree]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for rule in rules:
        for node in rule.facts.values():
            if isinstance(node, ObservationFact) and node.unit:
                within = str(node.period.length.written) if node.period else ""
                found.setdefault(node.valueset, (node.unit, within))
    return found


def kind_of_set(valueset: ValueSet) -> str:
    """Return what a value set holds: ``drug``, ``result`` or ``diagnosis``."""
    known = {name for name, uri in SYSTEMS.items() if uri in valueset.systems}
    if known & {"rxnorm", "atc", "ndc"} or valueset.names:
        return "drug"
    return "result" if "loinc" in known else "diagnosis"


def parse_limit(text: str) -> WrittenLimit:
    """The limit in words such as ``above 100 /min within 7 days``.

    Raises:
        Slip: if it cannot be read.
    """
    found = _LIMIT.fullmatch(text.strip())
    if not found:
        raise Slip(
            "write a limit such as `above 100`, `at least 7.5 mmol/L` or "
            "`below 50 /min within 7 days`"
        )
    comparison = _SIGNS.get(found["comparison"], found["comparison"].replace(" ", "_"))
    return WrittenLimit(
        comparison, found["number"], found["unit"] or "", found["within"] or ""
    )


def check_answers(answers: Answers) -> None:
    """Check that the answers make a rule.

    Raises:
        Slip: saying what is missing or does not go together.
    """
    if not (answers.drug or answers.diagnosis or answers.result or answers.alert):
        raise Slip("name at least one: a drug, a diagnosis, a result or an alert type")
    if answers.result and not answers.limit:
        raise Slip(f"a result needs a limit, such as `above 100`: {answers.result}")
    if answers.limit and not (answers.result or answers.alert):
        raise Slip("a limit needs a result or an alert type")
    for each in answers.sets:
        if answers.sets.count(each) > 1:
            raise Slip(f"{quote(each)} is named twice")


def sample(stock: Stock, name: str, avoid: Iterable[str]) -> tuple[str, str]:
    """The first code of a value set, as ``system|code``, and what it is called.

    Raises:
        Slip: if every code of it is also in a set of *avoid*.
    """
    others = [stock.valuesets[each] for each in avoid]
    for system, code, display in _listed(stock, name, ()):
        uri = canonical_system(system)
        normal = normalise_code(uri, code)
        if not stock.valuesets[name].holds(uri, normal):
            continue
        if not any(each.holds(uri, normal) for each in others):
            return f"{system}|{code}", display or stock.valuesets[name].title
    raise Slip(f"{quote(name)} has no code that is in no other set of the rule")


def _listed(
    stock: Stock, name: str, above: tuple[str, ...]
) -> Iterable[tuple[str, str, str]]:
    """System, code and name of what a value set lists, in the order of its file."""
    for entry in stock.files.get(name, {}).get("include", ()):
        system = entry.get("system", "")
        for each in entry.get("ingredients", ()):
            if "code" in each:
                yield system, each["code"], each["name"].capitalize()
        for code in (*entry.get("codes", ()), *entry.get("under", ())):
            yield system, code, ""
        inner = entry.get("valueset")
        if inner and inner not in above:
            yield from _listed(stock, inner, (*above, name))
    names = {uri: short for short, uri in SYSTEMS.items()}
    for uri, codes in sorted(stock.valuesets[name].codes.items()):
        for code in sorted(codes):
            yield names.get(uri, uri), code, ""


_LIMIT = re.compile(
    r"(?P<comparison>above|at[ _]least|below|at[ _]most|>=|<=|>|<)\s*"
    r"(?P<number>-?[0-9]{1,12}(?:\.[0-9]{1,6})?)"
    r"(?:\s+(?!within\b)(?P<unit>\S+))?"
    r"(?:\s+within\s+(?P<within>[0-9]+(?:\.[0-9]+)? "
    r"(?:second|minute|hour|day|week|month|year)s?))?"
)
_SIGNS = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}
