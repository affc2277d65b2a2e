"""Card text: templates, what fills them, and numbers as people write them.

A template is literal text and placeholders, nothing else: no filters, no loops, no
expressions, so that a rule file can neither run code nor hang the server. What a
placeholder shows is either the engine's own (numbers, dates, units) and trusted, or
free text from a record and hostile.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from .escaping import RECORD_LIMIT, escape_markdown, shorten

SUMMARY_LIMIT = 139
"""Characters. Source: CDS Hooks 3.0.0 "Card Attributes": fewer than 140."""
PARAMETER = "$"
"""The ``fact`` of a placeholder that shows a parameter of the rule."""
NOT_AVAILABLE = "not available"


@dataclass(frozen=True, slots=True)
class Text:
    """What a placeholder shows."""

    text: str
    trusted: bool
    """True for what the engine formatted, false for words out of a record."""
    within: str = ""
    """The same within a sentence; empty where it is no different there."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """``{{ fact.attribute or 'otherwise' }}`` or ``{{ $parameter }}``."""

    fact: str
    """The name of a fact, or ``$``."""
    attribute: str
    otherwise: str | None
    """Shown where there is no value; none where the rule gave none. Where it is empty,
    the line goes."""
    offset: int
    """Of its opening braces in the template's text."""


Template = tuple[str | Placeholder, ...]
Resolve = Callable[[str, str], Text | None]
"""Fact and attribute to what is shown of it; none where there is no value."""


class TemplateError(ValueError):
    """The text is not a template."""

    def __init__(self, message: str, offset: int, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        """Into the template's text, where the mistake begins."""
        self.help = help


_NAME = r"[a-z][a-z0-9_]*"
_PLACEHOLDER = re.compile(
    rf"\{{\{{\s*(?:(?P<fact>{_NAME})\.(?P<attribute>{_NAME})|\$(?P<param>{_NAME}))"
    r"""(?:\s+or\s+(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"))?\s*\}\}"""
)
_SUSPECT = re.compile(
    r"(?P<open>\{\{)|(?P<close>\}\})|(?P<block>\{[%#])"
    rf"|(?P<brace>\{{\s*{_NAME}\.{_NAME}\s*\}})"
    r"|(?P<html><(?!(?:https?://|mailto:)[^\s<>]*>)[A-Za-z/!?])"
)
_GENERAL_HELP = "write `{{ fact.attribute }}` or `{{ fact.attribute or 'text' }}`"
_COMPLAINTS = {
    "close": ("`}}` closes nothing", "every placeholder begins with `{{`"),
    "block": ("templates have placeholders only, no blocks", _GENERAL_HELP),
    "brace": ("a placeholder has two braces on each side", _GENERAL_HELP),
    "html": ("HTML does not belong in card text", "write Markdown, or a space after <"),
}


def parse_template(text: str) -> Template:
    """The literal parts and placeholders of *text*, in order.

    Raises:
        TemplateError: for anything that looks like a placeholder and is none.
    """
    parts: list[str | Placeholder] = []
    start = 0
    position = 0
    while suspect := _SUSPECT.search(text, position):
        found = _PLACEHOLDER.match(text, suspect.start())
        if found is None:
            raise _complaint(text, suspect)
        if literal := text[start : found.start()]:
            parts.append(literal)
        parts.append(_placeholder(found))
        start = position = found.end()
    if literal := text[start:]:
        parts.append(literal)
    return tuple(parts)


def _placeholder(found: re.Match[str]) -> Placeholder:
    return Placeholder(
        fact=found["fact"] or PARAMETER,
        attribute=found["attribute"] or found["param"],
        otherwise=found["single"] if found["single"] is not None else found["double"],
        offset=found.start(),
    )


def _complaint(text: str, suspect: re.Match[str]) -> TemplateError:
    kind = suspect.lastgroup or ""
    if kind != "open":
        message, help = _COMPLAINTS[kind]
        return TemplateError(message, suspect.start(), help)
    start = suspect.start()
    end = text.find("}}", start + 2)
    inner = text.find("{{", start + 2)
    if end == -1 or -1 < inner < end:
        return _unclosed(text, start, end)
    return TemplateError(*_diagnose(text[start + 2 : end].strip(), start))


def _unclosed(text: str, start: int, end: int) -> TemplateError:
    after = text.find("}}", end + 2) if end != -1 else -1
    opened = text.find("{{", end + 2) if end != -1 else -1
    if after != -1 and (opened == -1 or after < opened):
        return TemplateError("placeholders cannot be nested", start, _GENERAL_HELP)
    return TemplateError("the placeholder is not closed", start, "end it with `}}`")


_CURLY = re.compile("[\u2018\u2019\u201a\u201c\u201d\u201e]")


def _diagnose(content: str, start: int) -> tuple[str, int, str]:
    """Message, offset and help for the inside of a closed placeholder."""
    name = re.split(r"\s|\|", content, maxsplit=1)[0]
    suggestion = f"write `{{{{ {name or 'fact.attribute'} or 'text' }}}}`"
    if not content:
        return "the placeholder is empty", start, _GENERAL_HELP
    if "|" in content:
        return "a placeholder has no `|` and no filters", start, suggestion
    if re.match(r"\S+\s+or\b", content):
        curly = "; its quotes are curly" if _CURLY.search(content) else ""
        message = "`or` must be followed by a text in quotes"
        return message, start, suggestion + curly
    if content.startswith("$") and "." in content:
        return "a parameter has no attributes", start, "write `{{ $name }}`"
    if re.fullmatch(_NAME, content):
        shown = f"write e.g. `{{{{ {content}.name }}}}`"
        return f"it does not say what of `{content}` to show", start, shown
    if re.fullmatch(r"[\w.$-]+", content):
        names = "names are lower-case letters, digits and underscores"
        return f"`{content}` is not `fact.attribute`", start, names
    return "this is not a placeholder", start, _GENERAL_HELP


def placeholders(template: Template) -> Iterator[Placeholder]:
    """Every placeholder of the template, in order."""
    return (part for part in template if isinstance(part, Placeholder))


def render_plain(
    template: Template, resolve: Resolve, limit: int = SUMMARY_LIMIT
) -> str:
    """One line of plain text of at most *limit* characters, cut at a word."""
    return shorten(_render(template, resolve, _plain), limit)


def render_markdown(template: Template, resolve: Resolve) -> str:
    """GitHub-Flavored Markdown in which no text from a record is anything but text."""
    return _render(template, resolve, escape_markdown).strip()


def count_words(markdown: str) -> int:
    """Return how many words a reader of the text meets; signs alone are none."""
    return sum(any(map(str.isalnum, word)) for word in markdown.split())


def _render(template: Template, resolve: Resolve, escape: Callable[[str], str]) -> str:
    """The text, without the lines of which all that may be missing is missing."""
    shown = []
    for line in _lines(template):
        values: list[str] = []
        for part in line:
            values.append(_value(part, resolve, escape, "".join(values)))
        optional = [
            value for part, value in zip(line, values, strict=True) if _may_go(part)
        ]
        if not optional or any(optional):
            shown.append("".join(values))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(shown))


def _lines(template: Template) -> Iterator[list[str | Placeholder]]:
    line: list[str | Placeholder] = []
    for part in template:
        if isinstance(part, Placeholder):
            line.append(part)
            continue
        first, *others = part.split("\n")
        line.append(first)
        for other in others:
            yield line
            line = [other]
    yield line


def _may_go(part: str | Placeholder) -> bool:
    return isinstance(part, Placeholder) and part.otherwise == ""


def _value(
    part: str | Placeholder,
    resolve: Resolve,
    escape: Callable[[str], str],
    before: str,
) -> str:
    if isinstance(part, str):
        return part
    value = resolve(part.fact, part.attribute)
    if value is None:
        return NOT_AVAILABLE if part.otherwise is None else part.otherwise
    shown = value.within if value.within and _goes_on(before) else value.text
    return shown if value.trusted else escape(shown)


def _goes_on(before: str) -> bool:
    """Check if what follows in a line continues a sentence that it does not begin."""
    said = before.rstrip(" *_([\"'“‘")
    return said[-1:].isalnum() or said[-1:] in {",", ";", ")", "%"}


def _plain(text: str) -> str:
    return shorten(text, RECORD_LIMIT)


_EXACT_DIGITS = 5
_ROUNDED_DIGITS = 4


def format_number(value: float | Decimal) -> str:
    """The number as recorded, or at four significant digits where it was computed.

    A recorded number is never rounded across a limit; a mean is not shown with more
    digits than anyone measured. Whole digits always stay.
    """
    number = Decimal(str(value))
    if not number.is_finite():
        return NOT_AVAILABLE
    digits = number.normalize().as_tuple()
    if len(digits.digits) > _EXACT_DIGITS:
        places = max(0, _ROUNDED_DIGITS - 1 - number.adjusted())
        number = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    shown = f"{number:f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def format_quantity(value: float | Decimal, unit: str) -> str:
    """The number and its UCUM unit as people write it: ``105.8 /min``."""
    return f"{format_number(value)} {format_unit(unit)}".rstrip()


def format_unit(unit: str) -> str:
    """A UCUM unit as people write it, free of Markdown; empty for the unity."""
    if unit in _UNITS:
        return _UNITS[unit]
    shown = unit.replace("10*", "10^").replace("_", " ")
    return re.sub(r"[^\w/.^%°µ' ()+-]", "", shown)


_UNITS = {
    "1": "",
    "mm[Hg]": "mmHg",
    "Cel": "°C",
    "[degF]": "°F",
    "[lb_av]": "lb",
    "[in_i]": "in",
}

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_LENGTHS = (
    (90 * _MINUTE, _MINUTE, "min"),
    (2 * _DAY, _HOUR, "h"),
    (90 * _DAY, _DAY, "d"),
    (731 * _DAY, _DAY * 365.25 / 12, "mo"),
    (timedelta.max, _DAY * 365.25, "y"),
)
"""Below which length which unit is the natural one."""
_SECONDS_BELOW = 2 * _MINUTE
_TENTHS_BELOW = 10


def format_duration(duration: timedelta) -> str:
    """Return how long something lasts in its natural unit, such as ``2.5 d``."""
    duration = max(duration, timedelta(0))
    if duration < _SECONDS_BELOW:
        return f"{_whole(Decimal(duration.total_seconds()))} s"
    unit, word = _natural(duration)
    count = Decimal(duration / unit)
    if count < _TENTHS_BELOW and unit >= _HOUR:
        count = count.quantize(Decimal("0.1"), ROUND_HALF_UP)
        return f"{format_number(count)} {word}"
    return f"{_whole(count)} {word}"


def format_age(age: timedelta) -> str:
    """Return how long ago something was, in whole units: ``42 min``, ``5 h``."""
    age = max(age, timedelta(0))
    unit, word = _natural(age)
    return f"{_whole(Decimal(age / unit))} {word}"


def _natural(length: timedelta) -> tuple[timedelta, str]:
    return next((unit, word) for end, unit, word in _LENGTHS if length < end)


def _whole(count: Decimal) -> str:
    return str(count.quantize(Decimal(1), ROUND_HALF_UP))


def format_date(day: date) -> str:
    """The calendar day: ``2026-11-16``. A datetime gives the day at its own offset."""
    return f"{day:%Y-%m-%d}" if isinstance(day, datetime) else day.isoformat()


def format_time(moment: datetime) -> str:
    """The time of day at the moment's own offset: ``03:12``."""
    return f"{moment:%H:%M}"
