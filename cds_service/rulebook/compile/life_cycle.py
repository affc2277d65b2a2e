"""Life cycle, from draft to retired: what status and dates demand and lead to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from ..engine.rules import Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.tree import GovernanceNode, RuleTree


class Governed(Protocol):
    """A file that has a life: a rule or a detector."""

    @property
    def document(self) -> Document: ...

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def governance(self) -> GovernanceNode: ...

    @property
    def replaced_by(self) -> str: ...


class Dated(Protocol):
    """What is in force for some time: a compiled rule or detector."""

    @property
    def file(self) -> str: ...

    @property
    def effective(self) -> date | None: ...

    @property
    def expires(self) -> date | None: ...

    @property
    def review_by(self) -> date | None: ...

    @property
    def is_evaluated(self) -> bool: ...

    def in_force(self, day: date) -> bool: ...


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """Where a rule or a detector stands."""

    status: str
    """``draft``, ``shadow``, ``active`` or ``retired``, after ``site.yaml``."""
    approved: bool
    served: bool
    """Its cards are shown, or rules see its episodes."""
    effective: date | None
    expires: date | None
    review_by: date | None


def build_life_cycle(
    tree: Governed,
    site: Site,
    site_document: Document | None,
    findings: Findings,
    kind: str = "rule",
) -> LifeCycle:
    """Return where a file stands; what it owes for that is a finding."""
    settings = site_document.data.get(f"{kind}s", {}) if site_document else {}
    status = settings.get(tree.name, {}).get("status", tree.status)
    governance = tree.governance
    approved = governance.approved is not None
    if status == "active" and not approved:
        _say_unapproved(tree, site, findings, kind)
    _check_retirement(tree, status, site_document, findings, kind)
    start, end = governance.effective, governance.expires
    if start and end and end <= start:
        message = f"the {kind} expires before it takes effect"
        where, help = ("governance", "expires"), "correct one of the dates"
        findings.error(tree.document, where, "CDS608", message, help)
    served = status == "active" and (approved or site.serve_unapproved)
    return LifeCycle(status, approved, served, start, end, governance.review_by)


def _say_unapproved(tree: Governed, site: Site, findings: Findings, kind: str) -> None:
    say = findings.note if site.serve_unapproved else findings.warning
    message = f"this active {kind} has no `governance.approved`"
    if tree.status != "active":
        message = (
            f"this {tree.status} {kind} is made active by site.yaml, and has no "
            "`governance.approved`"
        )
    help = _UNAPPROVED[kind, site.serve_unapproved]
    say(tree.document, ("status",), "CDS604", message, help)
    for path in _system_actions(tree) if isinstance(tree, RuleTree) else ():
        message = "these are never sent: the rule has no `governance.approved`"
        help = "have the rule approved, or offer them to a person as `suggestions`"
        findings.warning(tree.document, path, "CDS618", message, help, key=True)


_UNAPPROVED = {
    ("rule", True): (
        "where a service uses it, its cards are still shown, because site.yaml says "
        "`unapproved: serve`; each says that it awaits approval"
    ),
    ("rule", False): (
        "where a service uses it, its results are recorded and no card is shown; "
        "have it approved, or make it `shadow`"
    ),
    ("detector", True): (
        "rules still use its episodes, because site.yaml says `unapproved: serve`"
    ),
    ("detector", False): (
        "its episodes are stored, but no rule uses them; have it approved, or make it "
        "`shadow`"
    ),
}


def _system_actions(rule: RuleTree) -> Iterator[Path]:
    """Yield where a rule says what is done without a person."""
    for action in rule.actions:
        if action.path[-2] == "system_actions":
            yield action.path[:-1]


def _check_retirement(
    tree: Governed,
    status: str,
    site_document: Document | None,
    findings: Findings,
    kind: str,
) -> None:
    """A site may switch anything off; who retires it says what comes instead."""
    if tree.status != "retired":
        return
    if not (tree.replaced_by or tree.governance.retired_because):
        message = f"a retired {kind} must say what replaces it, or why it was retired"
        help = "write `replaced_by: …`"
        findings.error(tree.document, ("status",), "CDS603", message, help)
    if status != "retired" and site_document is not None:
        findings.warning(
            site_document,
            (f"{kind}s", tree.name, "status"),
            "CDS613",
            f"this reactivates {quote(tree.name)}, which its author retired",
            f"ask why it was retired, or use the {kind} that replaces it",
        )


def check_successors(
    trees: Mapping[str, Governed], findings: Findings, kind: str = "rule"
) -> None:
    """Hold every ``replaced_by`` to the names that there are."""
    for name, tree in trees.items():
        successor, where = tree.replaced_by, ("replaced_by",)
        if successor and successor not in trees:
            message = f"there is no {kind} {quote(successor)}"
            help = suggest(successor, trees)
            findings.error(tree.document, where, "CDS611", message, help)
        elif successor == name:
            message = f"a {kind} cannot replace itself"
            help = f"name the other {kind}"
            findings.error(tree.document, where, "CDS611", message, help)


def check_dates(
    dated: Iterable[Dated],
    documents: Mapping[str, Document],
    today: date,
    kind: str = "rule",
) -> Findings:
    """Return what the calendar says of what would be evaluated.

    *today* is a day of the site's calendar.
    """
    findings = Findings()
    for each in dated:
        if not each.is_evaluated:
            continue
        document = documents[each.file]
        if each.expires and today >= each.expires:
            message = f"this {kind} has not been evaluated since {each.expires}"
            help = f"set another date after a review, or retire the {kind}"
            where: tuple[str, ...] = ("governance", "expires")
            findings.warning(document, where, "CDS614", message, help)
        elif each.effective and today < each.effective:
            message = f"this {kind} is not evaluated before {each.effective}"
            findings.note(document, ("governance", "effective"), "CDS615", message)
        if is_overdue(each, today):
            message = (
                f"the review of this {kind} has been overdue since {each.review_by}"
            )
            help = "review it, then set the next date"
            where = ("governance", "review_by")
            findings.warning(document, where, "CDS612", message, help)
    return findings


def overdue(dated: Iterable[Dated], today: date) -> Iterator[Dated]:
    """Those in force whose review is overdue on *today* (the site's calendar)."""
    for each in dated:
        if each.in_force(today) and is_overdue(each, today):
            yield each


def is_overdue(dated: Dated, today: date) -> bool:
    """Return whether the day by which somebody should have looked at it is over."""
    return dated.review_by is not None and today > dated.review_by
