"""Everything that the server itself says on a card; the rest is the rules' own text.

Markdown, one line each, with no clinical content. What a record calls things is quoted
and escaped.
"""

from collections.abc import Iterable, Mapping, Sequence

from ...fhir.chart import Chart, SourceState
from ..engine.evaluate import Evaluation
from ..engine.rules import Rule
from ..values.escaping import escape_markdown
from ..values.truth import GOVERNED, Reason, ReasonKind
from .shape import ALSO

UNCHECKED_SUMMARY = "Some checks could not be made"
FOUND_LATE = "Rests on readings that came long after they were made."
AWAITS_APPROVAL = "This rule awaits local approval."

NAMES_SHOWN = 5
"""Names out of the record in one sentence; more are counted."""
RULES_SHOWN = 20
"""Rules on the card about checks that could not be made; more are counted."""

_SOURCES: Mapping[str, str] = {
    "patient": "the patient's own data",
    "conditions": "conditions",
    "medication_requests": "medication orders",
    "medication_statements": "medication statements",
    "observations": "observations",
    "draft_orders": "draft orders",
    "consents": "consents",
    "wearable_alerts": "wearable alerts",
    "wearable_readings": "readings of wearables",
}

_KINDS: Mapping[ReasonKind, str] = {
    ReasonKind.NOT_RECORDED: "{fact}: not recorded",
    ReasonKind.BOUNDARY: "{fact}: recorded too vaguely to decide",
    ReasonKind.NOT_READ: "{fact}: an entry that may be one of these was not read whole",
    ReasonKind.UNUSABLE: "{fact}: recorded in a form that cannot be used",
    ReasonKind.UNCERTAIN: "{fact}: {why}",
    ReasonKind.UNRESOLVED: (
        "{fact}: an entry may be one of these, its codes and words leave it open"
    ),
}

_TELL_ALL = (ReasonKind.UNCERTAIN, ReasonKind.NOT_RECORDED)
"""Of which the reason, where there is one, is all that is said."""


def matched_by_name(names: Iterable[str]) -> str:
    """That medicines were recognised by name, and which."""
    return f"Recognised by name only: {_quoted(names)}."


def not_known(rule: Rule, reasons: Sequence[Reason], chart: Chart) -> str:
    """Return what stayed open although the card is shown."""
    return f"Not known: {_joined(rule, reasons, chart)}."


def also_true(summaries: Iterable[str]) -> str:
    """Return what else is true and has no card of its own."""
    said = (escape_markdown(each) for each in summaries)
    lines = " ".join(
        each if each.endswith((".", "?", "!")) else f"{each}." for each in said
    )
    return f"{ALSO} {lines}"


def held_back(count: int) -> str:
    """Return how many other cards are not shown now."""
    cards = "1 other card is" if count == 1 else f"{count} other cards are"
    return f"{cards} held back: shown or answered before, or too many at once."


def unchecked_detail(evaluations: Sequence[Evaluation]) -> str:
    """Return which checks could not be made and what was missing, as a list."""
    listed = [_unchecked(each) for each in evaluations[:RULES_SHOWN]]
    more = len(evaluations) - len(listed)
    if more > 0:
        listed.append(f"- and {more} more")
    return (
        "**Look these up in the chart: they could not be checked.**\n\n"
        "That they raise no card does not mean that they found nothing to raise.\n\n"
        + "\n".join(listed)
    )


def _unchecked(evaluation: Evaluation) -> str:
    reasons = evaluation.reasons
    if not evaluation.noted:
        # What is simply not recorded is normal; what failed is the news.
        reasons = tuple(each for each in reasons if each.kind not in GOVERNED)
    missing = _joined(evaluation.rule, reasons, evaluation.case.chart)
    title = f"- **{escape_markdown(evaluation.rule.title)}**"
    return f"{title}: {missing}" if missing else title


def _joined(rule: Rule, reasons: Iterable[Reason], chart: Chart) -> str:
    said = [text for each in reasons for text in _said(rule, each, chart)]
    return "; ".join(dict.fromkeys(said))


def _said(rule: Rule, reason: Reason, chart: Chart) -> list[str]:
    if reason.kind is ReasonKind.NOT_READ and reason.sources:
        return [_unread(source, chart) for source in reason.sources]
    fact = _fact(rule, reason.fact)
    tells = bool(reason.why) and reason.kind in _TELL_ALL
    kind = ReasonKind.UNCERTAIN if tells else reason.kind
    said = _KINDS[kind].format(fact=fact, why=reason.why)
    if reason.why and not tells:
        said += f": {escape_markdown(reason.why)}"
    names = reason.names
    if reason.kind is ReasonKind.NOT_READ:
        names = tuple(filter(None, names))  # that it has no name is the news
    return [f"{said} ({_quoted(names)})" if names else said]


def _unread(source: str, chart: Chart) -> str:
    name = _SOURCES.get(source, source)
    if chart.state(source) is SourceState.PARTIAL:
        return f"{name} could be read only in part"
    return f"{name} could not be read"


def _fact(rule: Rule, name: str) -> str:
    if name == "patient":
        return "age, sex or death of the patient"
    fact = rule.facts.get(name)
    title = fact.title if fact else ""
    return escape_markdown(title or name.replace("_", " "))


def _quoted(names: Iterable[str]) -> str:
    escaped = [
        escape_markdown(name) or "an entry without a name"
        for name in dict.fromkeys(names)
    ]
    shown = escaped[:NAMES_SHOWN]
    if more := len(escaped) - len(shown):
        shown.append(f"{more} more")
    return ", ".join(shown)
