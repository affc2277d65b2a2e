"""Why a card was shown, or a rule stayed silent, as a reader follows it. Pure.

What comes in is what ``why_json`` gives, at once or out of what was kept of a card.
Trees are told as they are read, not as they are computed: an ``all`` within an ``all``
is one list, and where one of several things was enough, the others are folded away.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

TRUTHS: Mapping[str, tuple[str, str]] = {
    "true": ("yes", "Holds"),
    "false": ("no", "Does not hold"),
    "unknown": ("unknown", "Not known"),
}
"""By truth: the class of its mark, whose shape differs as well, and the words."""
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "fires": ("yes", "Applies"),
    "no": ("no", "Does not apply"),
    "unknown": ("unknown", "Not known"),
}
OPERATORS: Mapping[str, str] = {
    "all": "All of these",
    "any": "At least one of these",
    "none": "None of these",
}
REASONS: Mapping[str, str] = {
    "not_recorded": "not recorded",
    "boundary": "recorded too vaguely to decide",
    "not_read": "it could not be read",
    "unusable": "what is recorded cannot be used",
    "uncertain": "it is unclear from the record whether an entry counts",
    "unresolved": "an entry may or may not be one of these",
}
SOURCES: Mapping[str, str] = {
    "conditions": "problems",
    "medication_requests": "orders of medicines",
    "medication_statements": "statements of medicines",
    "observations": "results and readings",
    "consents": "consents",
    "patient": "the patient",
    "wearable_alerts": "notices of wearables",
    "wearable_readings": "readings of wearables",
    "draft_orders": "orders being written",
}
"""Parts of a chart as people call them."""
STATES: Mapping[str, tuple[str, str]] = {
    "loaded": ("yes", "Read"),
    "partial": ("unknown", "Read in part"),
    "missing": ("unknown", "Not read"),
}
HELD: Mapping[str, str] = {
    "snoozed": "snoozed, because somebody has responded to it",
    "repeated": "shown before",
    "grouped": "listed under another card about the same evidence",
    "budget": "left out, because the site limits the number of cards shown at once",
}
"""By why a card is held back."""
SHOWN = 12
"""Entries that a criterion shows at once; the others are folded."""


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """One entry that a criterion rests on."""

    name: str
    value: str
    at: str
    """A day, or a day and a time of the site."""
    told_by: str
    """Device and source, of what a wearable told."""
    resource: str
    """``Type/id``."""


@dataclass(frozen=True, slots=True)
class AskedStep:
    """One criterion, or several that belong together."""

    mark: str
    word: str
    subject: str
    """What it is about, such as ``Heart rate``; empty for several."""
    text: str
    value: str = ""
    """What was compared."""
    seen: tuple[SeenEntry, ...] = ()
    more: tuple[SeenEntry, ...] = ()
    """Further entries."""
    doubts: tuple[str, ...] = ()
    """Entries that might have counted, and why that is not known."""
    reasons: tuple[str, ...] = ()
    """Why it is not known."""
    steps: "tuple[AskedStep, ...]" = ()
    folded: "tuple[AskedStep, ...]" = ()
    """What was not needed, since another of them was enough."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A document that the rule rests on."""

    citation: str
    url: str
    year: str


@dataclass(frozen=True, slots=True)
class RuleWhy:
    """What one rule said, and what for."""

    title: str
    key: str
    """``rule@version``."""
    mark: str
    word: str
    steps: tuple[AskedStep, ...]
    card_steps: tuple[AskedStep, ...]
    """What made it this card of the rule and none before it."""
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    """Version, owner and the like."""
    evidence: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class ReadSource:
    """How a part of the chart was read."""

    name: str
    mark: str
    word: str
    count: str
    why: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A card that is true and was not shown."""

    title: str
    why: str
    since: str
    until: str


def tell_rule(why: Mapping[str, Any]) -> RuleWhy:
    """Return what a rule said, from its ``why_json``."""
    mark, word = OUTCOMES[why["outcome"]]
    chosen = why.get("card")
    own = [each for each in why.get("cards", ()) if each["index"] == chosen]
    when = own[0].get("when") if own else None
    teller = _Teller(why.get("facts", {}))
    return RuleWhy(
        title=why["title"],
        key=f"{why['rule']}@{why['version']}",
        mark=mark,
        word=word,
        steps=teller.steps(why["when"]),
        card_steps=teller.steps(when) if when else (),
        reasons=teller.reasons(why.get("reasons", ())),
        facts=tuple(_about(why)),
        evidence=tuple(
            Citation(each["citation"], each.get("url") or "", str(each["year"] or ""))
            for each in why.get("evidence", ())
        ),
    )


def tell_sources(sources: Sequence[Mapping[str, Any]]) -> tuple[ReadSource, ...]:
    """Return how each part of the chart was read."""
    told = []
    for each in sources:
        mark, word = STATES.get(each["state"], STATES["missing"])
        count = each.get("resources", each.get("count", 0))
        number = f"{count} {'entry' if count == 1 else 'entries'}"
        shown = number if each["state"] != "missing" else ""
        told.append(
            ReadSource(_source(each["name"]), mark, word, shown, each.get("why") or "")
        )
    return tuple(told)


def tell_held(held: Sequence[Mapping[str, Any]], zone: tzinfo) -> tuple[HeldBack, ...]:
    """Return which cards are true and were not shown, and why.

    Args:
        held: Of each ``title`` and ``why``, and ``since`` and ``until`` in ISO 8601
            where they are known.
    """

    def moment(text: str | None) -> str:
        at = datetime.fromisoformat(text).astimezone(zone) if text else None
        return tell_day(f"{at:%Y-%m-%d %H:%M}") if at else ""

    return tuple(
        HeldBack(
            each.get("title") or each["rule"],
            HELD.get(each["why"], each["why"]),
            moment(each.get("since")),
            moment(each.get("until")),
        )
        for each in held
    )


def tell_day(text: str) -> str:
    """Return days of ISO 8601 in a text as people read them: ``21 Nov 2026``."""
    return _DAY.sub(
        lambda day: f"{int(day[3])} {_MONTHS[int(day[2]) - 1]} {day[1]}", text
    )


_DAY = re.compile(r"\b(\d{4})-(0[1-9]|1[0-2])-([0-3]\d)\b")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def _about(why: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Rule", why["rule"]
    yield "Version", why["version"]
    if why.get("owner"):
        yield "Owner", why["owner"]
    if "approved" in why:
        yield "Approved", "by this site" if why["approved"] else "not by this site yet"
    if why.get("review_by"):
        yield "Review due", tell_day(why["review_by"])


class _Teller:
    """Tells the criteria of one rule."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def steps(self, node: Mapping[str, Any]) -> tuple[AskedStep, ...]:
        """Return what a tree asks, without an ``all`` around it."""
        if node["operator"] == "all":
            return tuple(
                each for child in node["children"] for each in self.steps(child)
            )
        return (self._step(node),)

    def reasons(self, reasons: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Return in sentences why something is not known."""
        return tuple(dict.fromkeys(map(self._reason, reasons)))

    def _step(self, node: Mapping[str, Any]) -> AskedStep:
        mark, word = TRUTHS[node["truth"]]
        if node["operator"] in OPERATORS:
            return self._several(node, mark, word)
        subject, text = self._words(node)
        seen = self._seen(node)
        value = node["value"]["text"] if node.get("value") else ""
        unknown = node["truth"] == "unknown"
        return AskedStep(
            mark,
            word,
            subject,
            text,
            tell_day(value),
            seen[:SHOWN],
            seen[SHOWN:],
            tuple(map(self._doubt, node.get("in_doubt", ()))),
            self.reasons(node.get("reasons", ())) if unknown else (),
        )

    def _several(self, node: Mapping[str, Any], mark: str, word: str) -> AskedStep:
        enough = node["operator"] == "any" and node["truth"] == "true"
        shown: list[AskedStep] = []
        folded: list[AskedStep] = []
        for child in node["children"]:
            needless = enough and child["truth"] != "true"
            (folded if needless else shown).append(self._grouped(child))
        text = OPERATORS[node["operator"]]
        return AskedStep(mark, word, "", text, steps=tuple(shown), folded=tuple(folded))

    def _grouped(self, node: Mapping[str, Any]) -> AskedStep:
        """One of several: an ``all`` among them stays a list of its own."""
        if node["operator"] != "all":
            return self._step(node)
        steps = self.steps(node)
        if len(steps) == 1:
            return steps[0]
        mark, word = TRUTHS[node["truth"]]
        return AskedStep(mark, word, "", OPERATORS["all"], steps=steps)

    def _words(self, node: Mapping[str, Any]) -> tuple[str, str]:
        """What is asked of what, in the words of the value set instead of the file."""
        text, fact = node["text"], node.get("fact")
        if fact and text.startswith(fact):
            asked = text.removeprefix(fact).strip()
            code, shown = self._facts.get(fact, {}).get("unit") or ("", "")
            return self._title(fact), asked.replace(code, shown) if code else asked
        return text[:1].upper() + text[1:], ""

    def _title(self, fact: str) -> str:
        known = self._facts.get(fact)
        title = known["title"] if known else fact.replace("_", " ")
        return title[:1].upper() + title[1:]

    def _rows(self, fact: str | None) -> Mapping[str, Mapping[str, Any]]:
        known = self._facts.get(fact) if fact else None
        return {each["resource"]: each for each in known["rows"]} if known else {}

    def _seen(self, node: Mapping[str, Any]) -> tuple[SeenEntry, ...]:
        """The entries, newest first as far as they are dated."""
        fact = node.get("fact")
        rows, kind = self._rows(fact), self._facts.get(fact or "", {}).get("kind")
        found = []
        for reference in node.get("resources", ()):
            row = rows.get(reference, {})
            times = [tell_day(row.get(name) or "") for name in ("at", "until")]
            since = "since " if times[0] and kind == "medication" else ""
            told = [row.get(name) or "" for name in ("device", "source")]
            found.append(
                SeenEntry(
                    row.get("name") or "",
                    row.get("value") or "",
                    since + " to ".join(filter(None, times)),
                    ", ".join(dict.fromkeys(filter(None, told))),
                    reference,
                )
            )
        return tuple(reversed(found))

    def _doubt(self, doubt: Mapping[str, Any]) -> str:
        said = [doubt["resource"], doubt["why"]]
        if doubt.get("codes"):
            said.append(", ".join(doubt["codes"]))
        return ": ".join(filter(None, said))

    def _reason(self, reason: Mapping[str, Any]) -> str:
        text = REASONS.get(reason["kind"], reason["kind"].replace("_", " "))
        fact = reason.get("fact")
        about = f"{self._title(fact)}: {text}" if fact else text[:1].upper() + text[1:]
        sources = [_source(each) for each in reason.get("sources") or ()]
        about += f" ({', '.join(sources)})" if sources else ""
        why = reason.get("why")
        return f"{about}; {why}." if why else f"{about}."


def _source(name: str) -> str:
    return SOURCES.get(name, name.replace("_", " "))
