"""Life cycle, from draft to retired: what status and dates demand and lead to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ..engine.rules import Rule, Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.tree import RuleTree


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """Where a rule stands."""

    status: str
    """``draft``, ``shadow``, ``active`` or ``retired``, after ``site.yaml``."""
    approved: bool
    served: bool
    """Its cards are shown."""
    effective: date | None
    expires: date | None
    review_by: date | None


def build_life_cycle(
    rule: RuleTree, site: Site, site_document: Document | None, findings: Findings
) -> LifeCycle:
    """Return where the rule of a file stands; what it owes for that is a finding."""
    settings = site_document.data.get("rules", {}) if site_document else {}
    status = settings.get(rule.name, {}).get("status", rule.status)
    governance = rule.governance
    approved = governance.approved is not None
    if status == "active" and not approved:
        _say_unapproved(rule, site, findings)
    _check_retirement(rule, status, site_document, findings)
    start, end = governance.effective, governance.expires
    if start and end and end <= start:
        message = "the rule expires before it takes effect"
        where, help = ("governance", "expires"), "correct one of the dates"
        findings.error(rule.document, where, "CDS608", message, help)
    served = status == "active" and (approved or site.serve_unapproved)
    return LifeCycle(status, approved, served, start, end, governance.review_by)


def _say_unapproved(rule: RuleTree, site: Site, findings: Findings) -> None:
    say = findings.note if site.serve_unapproved else findings.warning
    say(
        rule.document,
        ("status",),
        "CDS604",
        (
            "this active rule has no `governance.approved`"
            if rule.status == "active"
            else f"this {rule.status} rule is made active by site.yaml, and has no "
            "`governance.approved`"
        ),
        (
            "where it is asked, its cards are shown all the same, since site.yaml says "
            "`unapproved: serve`; each says that it awaits approval"
            if site.serve_unapproved
            else "where it is asked, what it finds is recorded and no card is shown; "
            "have it approved, or make it `shadow`"
        ),
    )
    for path in _system_actions(rule):
        message = "these are never sent: the rule has no `governance.approved`"
        help = "have the rule approved, or offer them to a person as `suggestions`"
        findings.warning(rule.document, path, "CDS618", message, help, key=True)


def _system_actions(rule: RuleTree) -> Iterator[Path]:
    """Yield where a rule says what is done without a person."""
    for action in rule.actions:
        if action.path[-2] == "system_actions":
            yield action.path[:-1]


def _check_retirement(
    rule: RuleTree, status: str, site_document: Document | None, findings: Findings
) -> None:
    """A site may switch any rule off; who retires it says what comes instead."""
    if rule.status != "retired":
        return
    if not (rule.replaced_by or rule.governance.retired_because):
        message = "a retired rule says what replaces it, or why it went"
        help = "write `replaced_by: …`"
        findings.error(rule.document, ("status",), "CDS603", message, help)
    if status != "retired" and site_document is not None:
        findings.warning(
            site_document,
            ("rules", rule.name, "status"),
            "CDS613",
            f"this brings back {quote(rule.name)}, which its author retired",
            "ask why it was retired, or use the rule that replaces it",
        )


def check_successors(rules: Mapping[str, RuleTree], findings: Findings) -> None:
    """Hold every ``replaced_by`` to the names of the rules that there are."""
    for name, rule in rules.items():
        successor, where = rule.replaced_by, ("replaced_by",)
        if successor and successor not in rules:
            message = f"there is no rule {quote(successor)}"
            help = suggest(successor, rules)
            findings.error(rule.document, where, "CDS611", message, help)
        elif successor == name:
            message = "a rule cannot replace itself"
            help = "name the other rule"
            findings.error(rule.document, where, "CDS611", message, help)


def check_dates(
    rules: Iterable[Rule], documents: Mapping[str, Document], today: date
) -> Findings:
    """Return what the calendar says of rules that would be evaluated.

    *today* is a day of the site's calendar.
    """
    findings = Findings()
    for rule in rules:
        if not rule.is_evaluated:
            continue
        document = documents[rule.file]
        if rule.expires and today >= rule.expires:
            message = f"this rule is no longer evaluated since {rule.expires}"
            help = "set another date after a review, or retire the rule"
            where: tuple[str, ...] = ("governance", "expires")
            findings.warning(document, where, "CDS614", message, help)
        elif rule.effective and today < rule.effective:
            message = f"this rule is not evaluated before {rule.effective}"
            findings.note(document, ("governance", "effective"), "CDS615", message)
        if is_overdue(rule, today):
            message = f"the review of this rule is overdue since {rule.review_by}"
            help = "look at it again, then set the next date"
            where = ("governance", "review_by")
            findings.warning(document, where, "CDS612", message, help)
    return findings


def overdue(rules: Iterable[Rule], today: date) -> Iterator[Rule]:
    """The rules in force whose review is overdue on *today* (the site's calendar)."""
    for rule in rules:
        if rule.in_force(today) and is_overdue(rule, today):
            yield rule


def is_overdue(rule: Rule, today: date) -> bool:
    """Return whether the day by which the rule should have been looked at is over."""
    return rule.review_by is not None and today > rule.review_by
