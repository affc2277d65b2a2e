"""The shape that all cards share, so that each is read in five seconds.

The first line of a detail is what to do, the second why; then come at most three
bullets, what else is true, and after one heading what limits all of it. A card that is
too long is not read, and one that says "none found" is believed where nothing could
have been found.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from ...protocol.cards import Indicator
from ..engine.facts import REDUCERS, Fact
from ..values.text import count_words, format_unit

HEADING = "**Limits and data:**"
"""Before all that the reader must know of the card itself. It stands in their line, so
that what can be done about it is still on the screen."""
ALSO = "**Also:**"
"""Before what other cards of the group say."""
SUMMARY_ROOM = 100
"""Characters of a summary whose placeholders hold the longest that they may."""
WORD_ROOM: Mapping[Indicator, int] = {
    Indicator.INFO: 90,
    Indicator.WARNING: 90,
    Indicator.CRITICAL: 110,
}
BULLET_ROOM = 3

_ACTION = re.compile(r"\*\*[^*\n]+\*\*")
_BULLET = re.compile(r"^[-*+] ", re.MULTILINE)
_TABLE = re.compile(r"(?:^\|.*\|$\n?)+", re.MULTILINE)
_ABSENCE = re.compile(
    r"\bnone (?:(?:was|were|is|are) )?(?:found|recorded|known|seen|listed)\b"
    r"|\bno(?:t| [^.;:\n]{1,60}?)(?: (?:was|were|is|are))? (?:found|listed)\b"
    r"|\bno [^.;:,\n]{1,60} (?:recorded|in the data|on the problem list)\b"
    r"|\bnothing (?:was )?(?:found|recorded)\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"(?:none|no|nothing|absent|negative|not recorded)", re.IGNORECASE
)
_TITLED = ("wearable_alert", "wearable", "stream", "score")
"""Kinds of facts that are called by their title."""
_NAMING = frozenset({"name", "code", "ingredient"})


def compose_detail(detail: str, limits: str, said: Iterable[str]) -> str:
    """Return the whole detail: the rule's text, then its limits and what we say."""
    tail = " ".join(each for each in (limits.strip(), *said) if each)
    return with_note(detail, tail) if tail else detail


def with_note(detail: str, note: str) -> str:
    """Return the detail with a sentence at the end of its limits."""
    if HEADING in detail:
        return f"{detail} {note}"
    return f"{detail}\n\n{HEADING} {note}".lstrip()


def with_also(detail: str, also: str) -> str:
    """Return the detail with what else is true, before its limits."""
    body, heading, tail = detail.partition(HEADING)
    return "\n\n".join(filter(None, (body.rstrip(), also, f"{heading}{tail}")))


def flaws(detail: str, severity: Indicator) -> Iterator[str]:
    """Return what a whole detail lacks of the shape, in words; nothing if nothing."""
    body, _, tail = detail.partition(HEADING)
    blocks = [each for each in re.split(r"\n\s*\n", body.strip()) if each]
    if blocks and blocks[-1].startswith(ALSO):
        blocks.pop()
    if blocks and _TABLE.fullmatch(blocks[-1]):
        blocks.pop()
    if not blocks or not _ACTION.fullmatch(blocks[0].strip()):
        yield "the first line is not what to do, in bold and alone"
    elif len(blocks) < 2 or _BULLET.match(blocks[1]):
        yield "the second paragraph is not why"
    elif len(blocks) > 3 or any(not _BULLET.match(each) for each in blocks[2:]):
        yield "after the reason come bullets, and nothing else"
    bullets = len(_BULLET.findall(body))
    if bullets > BULLET_ROOM:
        yield f"there are {bullets} bullets; {BULLET_ROOM} are read"
    if HEADING in tail:
        yield "the heading of the limits stands there twice"
    # A table is looked at, not read.
    words, room = count_words(_TABLE.sub("", detail)), WORD_ROOM[severity]
    if words > room:
        yield f"the detail may have {words} words, {room} are read"


def absence_in(text: str) -> str | None:
    """Return the words of a text that claim that something is not there, if any do."""
    found = _ABSENCE.search(text)
    return found[0] if found else None


def claims_absence(attribute: str, otherwise: str) -> bool:
    """Return whether the text for a missing name says that there is nothing."""
    alone = attribute in _NAMING and _NOTHING.fullmatch(otherwise.strip())
    return bool(alone) or absence_in(otherwise) is not None


def longest_value(fact: Fact, attribute: str, ingredients: Iterable[str]) -> str:
    """Return about the longest that a placeholder is going to show.

    Args:
        ingredients: What the medicines of the fact may hold.
    """
    if attribute == "typical":
        return f"99.9 {format_unit(fact.unit)} (median)"
    if attribute in (*REDUCERS, "rise", "fall", "value", "threshold"):
        return f"99.9 {format_unit(fact.unit)}".strip() if fact.kind != "score" else "9"
    if attribute == "ingredient":
        return max(ingredients, key=len, default=fact.title)
    if attribute == "recorded":
        return f"{fact.title}: none current among 99 entries; name ended 2026-11-22"
    if attribute in ("name", "title") and fact.kind in _TITLED:
        return fact.title
    if attribute == "counted":
        return ", ".join(f"{each.label} (1)" for each in fact.items[:4])
    return _LONGEST.get(attribute, "2026-11-22")


_LONGEST = {
    "name": "Usual words of a record",
    "code": "http://hl7.org/fhir/sid/icd-10-cm|I48.91",
    "count": "99",
    "duration": "59 min",
    "age": "59 min",
    "span": "59 min",
    "coverage": "100 %",
    "unit": "mmol/L",
    "type": "high-resting-heart-rate",
    "device": "Name of a watch",
    "local_time": "2026-11-22 03:12 (site's time; wearer's local time not known)",
    "days": "28",
    "source": "Name of a source",
    "reason": "low coverage",
    "days_line": "99.9–199.9 mmol/L on 14 of 14 days to 2026-11-22: ▁▂▃▄▅▆▇█▁▂▃▄▅▆",
    "days_table": "",
    "unassessed": "Age 65 or more (1), Age 75 or more as well (1)",
}
