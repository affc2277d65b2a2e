"""What a rule does, in sentences that are made from what was compiled. Markdown."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..engine.facts import Fact
from ..engine.rulebook import Rulebook
from ..values.escaping import inert
from ..values.text import PARAMETER, Placeholder, Template
from .fact_words import Words, limits, value_text
from .meaning import Clause, RuleFile

_INLINE = 2
"""So many things are said in one sentence; more become a list."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, or a head with a list below it."""

    text: str
    line: int
    """In the rule's file."""
    children: tuple["Said", ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The sentence for tools."""
        written: dict[str, Any] = {"text": self.text, "line": self.line}
        if self.children:
            written["children"] = [each.as_json() for each in self.children]
        return written


@dataclass(frozen=True, slots=True)
class CardWords:
    """A card of the rule in words."""

    severity: str
    when: Said | None
    """None where it is shown whenever no card before it is."""
    summary: str
    line: int


@dataclass(frozen=True, slots=True)
class Logic:
    """What a rule does."""

    patients: str
    """Whom it is for: ``patients aged 18 years or more``."""
    shown: tuple[Said, ...]
    """All of these must hold."""
    hidden: tuple[Said, ...]
    """Any of these keeps the card away."""
    cards: tuple[CardWords, ...]
    unknown: tuple[str, ...]
    """Sentences about what is not known."""
    scores: tuple[tuple[str, tuple[Said, ...]], ...] = ()
    """Each score's title, and what it counts."""


def tell(source: RuleFile, rulebook: Rulebook) -> Logic:
    """Return what a rule of *rulebook* does, with the limits that hold at this site."""
    return _Teller(source, rulebook).tell()


class _Teller:
    def __init__(self, source: RuleFile, rulebook: Rulebook) -> None:
        self.source = source
        self.rule = source.rule
        self.params = source.tuned()
        service = next(iter(rulebook.services.values()))
        self.words = Words(service.program.selectors.all)

    def tell(self) -> Logic:
        when = self.source.when(self.params)
        clauses = when.children if when.kind == "all" else (when,)
        scope = [each for each in clauses if each.kind == "patient"]
        rest = [each for each in without_echoes(clauses) if each.kind != "patient"]
        hidden = [said for each in rest for said in self._exclusions(each)]
        shown = [self._said(each) for each in rest if not self._excludes(each)]
        return Logic(
            self._patients(scope),
            tuple(shown),
            tuple(hidden),
            tuple(self._cards()),
            tuple(self._unknown(when)),
            tuple(self._scores()),
        )

    def _patients(self, scope: Iterable[Clause]) -> str:
        sexes, ages = "", []
        for clause in scope:
            if clause.bounds:
                ages.append(f"aged {limits(clause.bounds, None)}")
            else:
                sexes = " or ".join(clause.options["sex"]) + " "
        life = ", living or dead" if self.source.tree.deceased else ""
        return f"{sexes}patients{' ' if ages else ''}{' and '.join(ages)}{life}"

    def _excludes(self, clause: Clause) -> bool:
        return clause.kind in ("absent", "none")

    def _exclusions(self, clause: Clause) -> Iterable[Said]:
        """Return what keeps the card away, said the other way round."""
        if clause.kind == "absent":
            present = Clause("present", clause.path, clause.fact)
            yield self._said(present)
        elif clause.kind == "none":
            yield from (self._said(child) for child in clause.children)

    def _said(self, clause: Clause) -> Said:
        inline = self._inline(clause)
        line = self._line(clause)
        if inline is not None:
            return Said(inline, line)
        head = {
            "all": "all of these hold:",
            "any": "at least one of these holds:",
            "none": "none of these holds:",
        }[clause.kind]
        children = clause.children
        if clause.kind == "all":
            children = without_echoes(children)
        return Said(head, line, tuple(self._said(each) for each in children))

    def _inline(self, clause: Clause) -> str | None:
        """A clause as one sentence; None where it needs a list."""
        if clause.kind == "none" and len(clause.children) == 1:
            return self._negated(clause.children[0])
        if not clause.children:
            return self._leaf(clause)
        children = clause.children
        if clause.kind == "all":
            children = without_echoes(children)
            if len(children) == 1:
                return self._inline(children[0])
        parts = [self._inline(each) for each in children]
        said = [each for each in parts if each is not None]
        deep = any(each.kind in ("all", "any") for each in children)
        if len(said) < len(parts) or len(parts) > _INLINE or clause.kind == "none":
            return None
        if clause.kind == "any" and deep:
            return None
        if clause.kind == "any":
            return f"either {said[0]}, or {said[1]}"
        if children[0].kind == "any":
            return None  # "either a, or b, and c" could be read two ways
        return f"{said[0]}, and {said[1]}"

    def _negated(self, child: Clause) -> str | None:
        if child.kind == "present":
            return self._leaf(Clause("absent", child.path, child.fact))
        inner = self._inline(child)
        if inner is None:
            return None
        if child.kind == "patient":
            return inner.replace("the patient is ", "the patient is not ", 1)
        if child.kind == "all":
            parts = [self._inline(each) for each in child.children]
            return f"at most one of these holds: {'; '.join(filter(None, parts))}"
        return f"it is not so that {inner}"

    def _leaf(self, clause: Clause) -> str:
        if clause.kind == "patient":
            if clause.bounds:
                return f"the patient is aged {limits(clause.bounds, None)}"
            return f"the patient is {' or '.join(clause.options['sex'])}"
        return self.words.test(self.fact(clause.fact), clause)

    def fact(self, name: str) -> Fact:
        return self.rule.facts[name]

    def _line(self, clause: Clause) -> int:
        return self.source.line(clause.path)

    def _cards(self) -> Iterable[CardWords]:
        nodes, whens = self.source.tree.cards, self.source.card_whens(self.params)
        for card, node, when in zip(self.rule.cards, nodes, whens, strict=True):
            yield CardWords(
                card.severity.name.lower(),
                self._said(when) if when else None,
                self._template(card.summary),
                self.source.line(node.place("summary")),
            )

    def _template(self, template: Template) -> str:
        return inert(
            "".join(
                part if isinstance(part, str) else self._placeholder(part)
                for part in template
            )
        )

    def _placeholder(self, part: Placeholder) -> str:
        if part.fact == PARAMETER:
            param = self.rule.params[part.attribute]
            return value_text(param.value, param.unit)
        shown = f"{part.fact}: {part.attribute}".replace("_", " ")
        return f"‹{shown}›"

    def _scores(self) -> Iterable[tuple[str, tuple[Said, ...]]]:
        for name, score in self.source.scores(self.params).items():
            items = tuple(self._item(each) for each in score.children)
            yield self.fact(name).title, items

    def _item(self, item: Clause) -> Said:
        points = item.options["points"]
        noun = "point" if abs(points) == 1 else "points"
        said = self._said(item.children[0])
        text = f"{points:+g} {noun} for {inert(item.options['label'])}: {said.text}"
        return Said(text, self._line(item), said.children)

    def _unknown(self, when: Clause) -> Iterable[str]:
        needed = list(dict.fromkeys(self._needed(when)))
        then = {
            "silent": "nothing is shown",
            "note": "a line on an information card says so",
            "fire": "that counts as met, and the card is shown",
        }[self.rule.if_unknown]
        if needed:
            yield (
                f"If {_listed(needed)} is not recorded, or recorded too vaguely to "
                f"decide, {then}."
            )
        doubted = dict.fromkeys(
            self.words.title(self.fact(each.fact))
            for each in when.walk()
            if each.kind in ("absent", "count") and each.fact
        )
        if doubted:
            yield (
                "An entry that is not recognised may belong to "
                f"{_listed(list(doubted))}: the answer then stays open."
            )
        yield (
            "Where data that could change the answer could not be read, used or "
            "recognised, the card “Some checks could not be made” names this rule."
        )

    def _needed(self, when: Clause) -> Iterable[str]:
        """Return what must be recorded for the rule to know."""
        for clause in when.walk():
            fact = self.rule.facts.get(clause.fact)
            if clause.kind == "patient":
                yield f"the patient's {'date of birth' if clause.bounds else 'sex'}"
            elif fact is None or clause.kind in _SURE or fact.kind == "stream":
                continue
            elif fact.kind == "score":
                yield f"an item that could decide {self.words.title(fact)}"
            elif fact.kind == "wearable_alert":
                title = self.words.title(fact)
                asked = {each.attribute for each in clause.bounds}
                for each in sorted(asked & {"threshold", "coverage"}):
                    yield f"the {each} of the wearable alert {title}"
                if asked & {"value", "typical", "min", "max"}:
                    yield f"the value of the wearable alert {title}"
            else:
                yield self.words.value(fact)


_SURE = ("present", "absent", "count", "days", "coverage")
"""Tests that nothing recorded answers."""


def without_echoes(clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
    """Clauses of an ``all`` but for the presence of what another asks more of."""
    asked = {each.fact for each in clauses if each.kind == "alert"}
    return tuple(
        each for each in clauses if not (each.kind == "present" and each.fact in asked)
    )


def _listed(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} or {parts[-1]}"
