"""How one rule differs from what it was: facts, conditions, cards and the rest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

from ..engine.rulebook import Rulebook
from ..language.criterion_tree import Amount
from ..language.document import Path
from ..language.tree import (
    ActionNode,
    AlertingNode,
    CardNode,
    GovernanceNode,
    ParamNode,
    RuleTree,
    Snooze,
    SuggestionNode,
)
from .clause_difference import ClauseComparer, renamed
from .fact_difference import Side, compare_facts, renames
from .meaning import Clause, RuleFile
from .versions import Change, VersionStep

_KEYS: Mapping[str, VersionStep] = {
    "title": VersionStep.PATCH,
    "status": VersionStep.PATCH,
    "replaced_by": VersionStep.PATCH,
    "deceased": VersionStep.MAJOR,
    "if_unknown": VersionStep.MAJOR,
}
_CARD_KEYS: Mapping[str, VersionStep] = {
    "severity": VersionStep.MINOR,
    "summary": VersionStep.PATCH,
    "detail": VersionStep.PATCH,
    "limits": VersionStep.PATCH,
    "source": VersionStep.PATCH,
    "override_reasons": VersionStep.PATCH,
    "links": VersionStep.PATCH,
    "suggestions": VersionStep.MINOR,
    "selection": VersionStep.MINOR,
    "together": VersionStep.MINOR,
    # Done without a person: whoever approved or relied on it must look at it anew.
    "system_actions": VersionStep.MAJOR,
}


@dataclass(frozen=True, slots=True)
class Book:
    """A compiled rulebook beside the trees of its rules."""

    rulebook: Rulebook
    trees: Mapping[str, RuleTree]
    """By file."""

    def source(self, rule: str) -> RuleFile:
        """A rule beside its tree."""
        found = self.rulebook.rules[rule]
        return RuleFile(found, self.trees[found.file])


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
        yield from self._section("alerting", VersionStep.MINOR)
        yield from self._section("governance", VersionStep.PATCH)

    def _old_when(self) -> Clause:
        return renamed(self.was.when(self.old_params), self.names)

    def _comparer(self, shown: str, knows_effect: bool) -> ClauseComparer:
        units = {name: fact.unit for name, fact in self.now.rule.facts.items()}
        return ClauseComparer(self._report, units, self.was.line, shown, knows_effect)

    def _report(self, path: Path, text: str, step: VersionStep, effect: str) -> Change:
        return Change(self.now.rule.file, self.now.line(path), text, step, effect)

    def _keys(self) -> Iterator[Change]:
        was, now = self.was.tree, self.now.tree
        for key, step in _KEYS.items():
            before, after = (getattr(each, key) or None for each in (was, now))
            if before != after:
                text = told_change(key, before, after)
                yield self._report((key,), text, step, "")
        hooks = [sorted(each.hooks) for each in (was, now)]
        if hooks[0] != hooks[1]:
            text = f"hooks {', '.join(hooks[1])}, was {', '.join(hooks[0])}"
            yield self._report(("hooks",), text, VersionStep.MAJOR, "")

    def _section(self, section: str, step: VersionStep) -> Iterator[Change]:
        before, after = (_members(each.tree, section) for each in (self.was, self.now))
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                text = told_change(key, before.get(key), after.get(key))
                yield self._report((section, key), text, step, "")

    def _params(self) -> Iterator[Change]:
        before, after = self.was.tree.params, self.now.tree.params
        for name in sorted({*before, *after}):
            path: Path = ("params", name)
            if name not in after:
                text = f"${name}: a site can no longer tune it"
                yield self._report(("params",), text, VersionStep.MINOR, "")
            elif name not in before:
                text = f"${name}: a site may now tune it"
                yield self._report(path, text, VersionStep.PATCH, "")
            else:
                yield from self._param(name, before[name], after[name])

    def _param(
        self, name: str, before: ParamNode, after: ParamNode
    ) -> Iterator[Change]:
        for key, step in _PARAM_KEYS.items():
            was, now = (_param_value(each, key) for each in (before, after))
            if was != now:
                text = f"${name}: {told_change(key, _written(was), _written(now))}"
                yield self._report(("params", name, key), text, step, "")

    def _facts(self) -> Iterator[Change]:
        clauses = [(self.now.when(self.params), True)]
        clauses += [(clause, False) for clause in self._card_clauses()]
        clauses += [(clause, False) for clause in self._acted_on()]
        yield from compare_facts(self.old, self.new, self.names, clauses, self._report)

    def _card_clauses(self) -> Iterator[Clause]:
        for when in self.now.card_whens(self.params):
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
                yield self._report(("facts", name), text, VersionStep.MAJOR, "")
            elif label not in was:
                text = f"{name} counts {label}"
                yield self._report(now[label].path, text, VersionStep.MAJOR, "")
            else:
                points = [each[label].options["points"] for each in (was, now)]
                if points[0] != points[1]:
                    text = f"{name}: {label} {points[1]:+g}, was {points[0]:+g}"
                    yield self._report(
                        now[label].path, text, VersionStep.MINOR, "either way"
                    )
                comparer = self._comparer(f"{name}, {label}: ", False)
                old = renamed(was[label].children[0], self.names)
                yield from comparer.compare(old, now[label].children[0])

    def _cards(self) -> Iterator[Change]:
        before, after = self.was.tree.cards, self.now.tree.cards
        if len(before) != len(after):
            text = f"{len(after)} cards, was {len(before)}"
            yield self._report(after[-1].path, text, VersionStep.MAJOR, "")
        whens = zip(
            self.was.card_whens(self.old_params),
            self.now.card_whens(self.params),
            strict=False,
        )
        pairs = zip(before, after, whens, strict=False)
        for number, (was, now, asked) in enumerate(pairs, start=1):
            shown = f"card {number}: " if len(after) > 1 else "card: "
            yield from self._card_members(was, now, shown)
            yield from self._card_when(now.path, *asked, shown)

    def _card_members(
        self, was: CardNode, now: CardNode, shown: str
    ) -> Iterator[Change]:
        for key, step in _CARD_KEYS.items():
            old = respelled(_card_value(was, key), self.names)
            new = respelled(_card_value(now, key), {})
            if old != new:
                text = f"{shown}{told_change(key, old, new)}"
                yield self._report(now.place(key), text, step, "")

    def _card_when(
        self, card: Path, old: Clause | None, new: Clause | None, shown: str
    ) -> Iterator[Change]:
        if old is not None and new is not None:
            comparer = self._comparer(shown, False)
            yield from comparer.compare(renamed(old, self.names), new)
        elif old is not None or new is not None:
            text = f"{shown}{'has a condition' if new else 'has no condition more'}"
            yield self._report((*card, "when"), text, VersionStep.MAJOR, "")


def respelled(value: Any, names: Mapping[str, str]) -> Any:
    """Text, or all text in what a card says, with its facts under other names."""
    if isinstance(value, str):
        return _FACT.sub(lambda f: f"{{{{ {names.get(f[1], f[1])}.", value)
    if isinstance(value, ActionNode):
        return replace(
            value,
            description=respelled(value.description, names),
            fact=names.get(value.fact, value.fact),
            content=respelled(value.content, names),
            reasons=tuple(names.get(each, each) for each in value.reasons),
        )
    if isinstance(value, SuggestionNode):
        label, actions = value.label, value.actions
        return replace(
            value, label=respelled(label, names), actions=respelled(actions, names)
        )
    if isinstance(value, Mapping):
        return {key: respelled(each, names) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(respelled(each, names) for each in value)
    return value


_FACT = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\.")


def _card_value(card: CardNode, key: str) -> Any:
    """A member of a card; None where the file says nothing of it."""
    if key == "severity":
        return card.severity.name.lower()
    return getattr(card, key) if card.says(key) else None


_PARAM_KEYS: Mapping[str, VersionStep] = {
    "unit": VersionStep.MAJOR,
    "min": VersionStep.MINOR,
    "max": VersionStep.MINOR,
    "describe": VersionStep.PATCH,
}


def _param_value(node: ParamNode, key: str) -> Amount | str | None:
    if key in ("min", "max"):
        return node.least if key == "min" else node.most
    return (node.unit if key == "unit" else node.describe) or None


def _members(tree: RuleTree, section: str) -> dict[str, Any]:
    """Return what the file itself says in a section, as it is written there."""
    node: AlertingNode | GovernanceNode = getattr(tree, section)
    return {
        each.name: _written(getattr(node, each.name))
        for each in fields(node)
        if each.name != "path" and tree.says(section, each.name)
    }


def _written(value: Any) -> Any:
    """An amount as it is written; of a snooze for every reason, its length."""
    match value:
        case (Snooze(path=(_, _)) as only,):
            return only.length.written
        case Amount():
            return value.written
        case _:
            return value


def told_change(name: str, before: Any, after: Any) -> str:
    """Return how a value changed; long texts are only said to have."""
    if not (_is_short(before) and _is_short(after)):
        if before is None or after is None:
            return f"{name} {'added' if before is None else 'removed'}"
        return f"{name} changed"
    if before is None:
        return f"{name} {after}, was not there"
    return f"{name} {'removed' if after is None else after}, was {before}"


def _is_short(value: Any) -> bool:
    plain = value is None or isinstance(value, str | int | float | date)
    return plain and len(str(value)) <= _SHORT


_SHORT = 60
