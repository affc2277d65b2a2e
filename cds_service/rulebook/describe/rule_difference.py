"""How one rule differs from what it was: facts, conditions, cards and the rest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..compile.params import number_or_duration
from ..engine.rulebook import Rulebook
from ..language.document import Document, Path
from .clause_difference import ClauseComparer, renamed
from .fact_difference import Side, compare_facts, renames
from .meaning import Clause, RuleFile
from .versions import Change, Step

_KEYS: Mapping[str, Step] = {
    "title": Step.PATCH,
    "status": Step.PATCH,
    "replaced_by": Step.PATCH,
    "deceased": Step.MAJOR,
    "if_unknown": Step.MAJOR,
}
_DEFAULTS = {"if_unknown": "silent"}
_CARD_KEYS: Mapping[str, Step] = {
    "severity": Step.MINOR,
    "summary": Step.PATCH,
    "detail": Step.PATCH,
    "limits": Step.PATCH,
    "source": Step.PATCH,
    "override_reasons": Step.PATCH,
    "links": Step.PATCH,
    "suggestions": Step.MINOR,
    "selection": Step.MINOR,
    "together": Step.MINOR,
    # Done without a person: whoever approved or relied on it must look at it anew.
    "system_actions": Step.MAJOR,
}


@dataclass(frozen=True, slots=True)
class Book:
    """A compiled rulebook beside its files."""

    rulebook: Rulebook
    documents: Mapping[str, Document]

    def source(self, rule: str) -> RuleFile:
        """A rule beside its file."""
        found = self.rulebook.rules[rule]
        return RuleFile(found, self.documents[found.file])


def compare_rules(was: str, now: str, old: Book, new: Book) -> list[Change]:
    """Every difference between two rules, by the line in the new file."""
    comparer = _RuleComparer(old.source(was), new.source(now), old, new)
    return sorted(dict.fromkeys(comparer.compare()))


class _RuleComparer:
    def __init__(self, was: RuleFile, now: RuleFile, old: Book, new: Book) -> None:
        self.was, self.now = was, now
        self.old = Side(was.rule.facts, old.rulebook)
        self.new = Side(now.rule.facts, new.rulebook)
        self.names = renames(self.old, self.new)
        self.old_params, self.params = was.defaults(), now.defaults()

    def compare(self) -> Iterator[Change]:
        yield from self._keys()
        yield from self._params()
        yield from self._facts()
        comparer = self._comparer("", True)
        yield from comparer.compare(self._old_when(), self.now.when(self.params))
        yield from self._scores()
        yield from self._cards()
        for section, step in (("alerting", Step.MINOR), ("governance", Step.PATCH)):
            yield from self._section(section, step)

    def _old_when(self) -> Clause:
        return renamed(self.was.when(self.old_params), self.names)

    def _comparer(self, shown: str, knows_effect: bool) -> ClauseComparer:
        units = {name: fact.unit for name, fact in self.now.rule.facts.items()}
        return ClauseComparer(self._report, units, self.was.line, shown, knows_effect)

    def _report(self, path: Path, text: str, step: Step, effect: str) -> Change:
        return Change(self.now.rule.file, self.now.line(path), text, step, effect)

    def _keys(self) -> Iterator[Change]:
        for key, step in _KEYS.items():
            yield from self._key((key,), key, step, _DEFAULTS.get(key))
        hooks = [sorted(each.data["hooks"]) for each in (self.was, self.now)]
        if hooks[0] != hooks[1]:
            text = f"hooks {', '.join(hooks[1])}, was {', '.join(hooks[0])}"
            yield self._report(("hooks",), text, Step.MAJOR, "")

    def _section(self, section: str, step: Step) -> Iterator[Change]:
        before = self.was.data.get(section, {})
        after = self.now.data.get(section, {})
        for key in sorted({*before, *after}):
            yield from self._key((section, key), key, step, None)

    def _key(self, path: Path, name: str, step: Step, default: Any) -> Iterator[Change]:
        before, after = self.was.document.value(path), self.now.document.value(path)
        before = default if before is None else before
        after = default if after is None else after
        if before != after:
            yield self._report(path, _told(name, before, after), step, "")

    def _params(self) -> Iterator[Change]:
        before = self.was.data.get("params", {})
        after = self.now.data.get("params", {})
        for name in sorted({*before, *after}):
            path: Path = ("params", name)
            if name not in after:
                text = f"${name}: a site can no longer tune it"
                yield self._report(("params",), text, Step.MINOR, "")
            elif name not in before:
                text = f"${name}: a site may now tune it"
                yield self._report(path, text, Step.PATCH, "")
            else:
                yield from self._param(name, before[name], after[name])

    def _param(
        self, name: str, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> Iterator[Change]:
        steps = {"min": Step.MINOR, "max": Step.MINOR, "unit": Step.MAJOR}
        for key in ("unit", "min", "max", "describe"):
            values = [number_or_duration(each.get(key)) for each in (before, after)]
            same = values[0] == values[1] if values[0] and values[1] else False
            if before.get(key) != after.get(key) and not same:
                step = steps.get(key, Step.PATCH)
                text = f"${name}: {_told(key, before.get(key), after.get(key))}"
                yield self._report(("params", name, key), text, step, "")

    def _facts(self) -> Iterator[Change]:
        clauses = [(self.now.when(self.params), True)]
        clauses += [(clause, False) for clause in self._card_clauses()]
        clauses += [(clause, False) for clause in self._acted_on()]
        yield from compare_facts(self.old, self.new, self.names, clauses, self._report)

    def _card_clauses(self) -> Iterator[Clause]:
        for path in self.now.card_paths():
            when = self.now.card_when(path, self.params)
            if when is not None:
                yield when
        yield from self.now.scores(self.params).values()

    def _acted_on(self) -> Iterator[Clause]:
        """The facts whose records are changed without a person, as if asked."""
        for card in self.now.rule.cards:
            for each in card.system_actions:
                if each.fact:
                    yield Clause("system_action", ("facts", each.fact), each.fact)

    def _scores(self) -> Iterator[Change]:
        before = self.was.scores(self.old_params)
        after = self.now.scores(self.params)
        for name in sorted(set(before) & set(after)):
            yield from self._score(name, before[name], after[name])

    def _score(self, name: str, before: Clause, after: Clause) -> Iterator[Change]:
        was = {each.options["label"]: each for each in before.children}
        now = {each.options["label"]: each for each in after.children}
        for label in sorted({*was, *now}):
            if label not in now:
                text = f"{name} no longer counts {label}"
                yield self._report(("facts", name), text, Step.MAJOR, "")
            elif label not in was:
                text = f"{name} counts {label}"
                yield self._report(now[label].path, text, Step.MAJOR, "")
            else:
                points = [each[label].options["points"] for each in (was, now)]
                if points[0] != points[1]:
                    text = f"{name}: {label} {points[1]:+g}, was {points[0]:+g}"
                    yield self._report(now[label].path, text, Step.MINOR, "either way")
                comparer = self._comparer(f"{name}, {label}: ", False)
                old = renamed(was[label].children[0], self.names)
                yield from comparer.compare(old, now[label].children[0])

    def _cards(self) -> Iterator[Change]:
        before, after = self.was.card_paths(), self.now.card_paths()
        if len(before) != len(after):
            text = f"{len(after)} cards, was {len(before)}"
            yield self._report(after[-1], text, Step.MAJOR, "")
        for number, (was, now) in enumerate(zip(before, after, strict=False), start=1):
            shown = f"card {number}: " if len(after) > 1 else "card: "
            yield from self._card(was, now, shown)

    def _card(self, was: Path, now: Path, shown: str) -> Iterator[Change]:
        for key, step in _CARD_KEYS.items():
            old = respelled(_card_value(self.was, was, key), self.names)
            new = respelled(_card_value(self.now, now, key), {})
            if old != new:
                path = (*now, key)
                if self.now.document.value(path) is None:
                    path = ("card_defaults", key)
                yield self._report(path, f"{shown}{_told(key, old, new)}", step, "")
        old_when = self.was.card_when(was, self.old_params)
        new_when = self.now.card_when(now, self.params)
        if old_when is not None and new_when is not None:
            comparer = self._comparer(shown, False)
            yield from comparer.compare(renamed(old_when, self.names), new_when)
        elif old_when is not None or new_when is not None:
            text = (
                f"{shown}{'has a condition' if new_when else 'has no condition more'}"
            )
            yield self._report((*now, "when"), text, Step.MAJOR, "")


def respelled(value: Any, names: Mapping[str, str]) -> Any:
    """Text, or all text in a value, with its facts under other names."""
    if isinstance(value, str):
        return _FACT.sub(lambda f: f"{{{{ {names.get(f[1], f[1])}.", value)
    if isinstance(value, Mapping):
        return {
            key: (
                names.get(each, each)
                if key in ("update", "remove") and isinstance(each, str)
                else respelled(each, names)
            )
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [respelled(each, names) for each in value]
    return value


_FACT = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\.")


def _card_value(source: RuleFile, path: Path, key: str) -> Any:
    """A member of a card, as the defaults fill it in."""
    own = source.document.value((*path, key))
    if own is None:
        own = source.document.value(("card_defaults", key))
    if own is None and key == "severity":
        return source.data.get("severity", "info")
    return own


def _told(name: str, before: Any, after: Any) -> str:
    """A changed value; long texts are only said to have changed."""
    for value in (before, after):
        if isinstance(value, list | dict) or len(str(value)) > _SHORT:
            return (
                f"{name} changed"
                if None not in (before, after)
                else (f"{name} {'added' if before is None else 'removed'}")
            )
    if before is None:
        return f"{name} {after}, was not there"
    return f"{name} {'removed' if after is None else after}, was {before}"


_SHORT = 60
