"""The ``alerting`` section of a rule file, with what ``site.yaml`` makes of it."""

from collections.abc import Iterable, Mapping

from ...protocol.cards import Coding
from ..engine.alerting import ANY_REASON, OF_THE_CALL, Alerting
from ..engine.facts import KINDS, Fact
from ..language.criterion_tree import Amount
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.tree import EVERY_REASON, RuleTree, Snooze
from ..values.intervals import Duration, parse_duration

PLAIN = ("patient", "rule", "severity", *OF_THE_CALL)
"""What ``once_per`` may name beside attributes of facts."""


class AlertingBuilder:
    """Builds the alerting of one rule."""

    def __init__(
        self,
        rule: RuleTree,
        site_document: Document | None,
        facts: Mapping[str, Fact],
        reasons: Mapping[str, Coding],
        findings: Findings,
    ) -> None:
        self.rule = rule
        self.site_document = site_document
        self.facts = facts
        self.reasons = reasons
        """The override reasons that there are, by code."""
        self.findings = findings
        self.used_facts: set[str] = set()

    def build(self) -> Alerting:
        """Return what the rule says; the defaults where there is an error."""
        node = self.rule.alerting
        self._check_once_per(node.once_per)
        return Alerting(
            once_per=node.once_per,
            repeat_after=self._repeat_after(node.repeat_after),
            snooze=self._snooze(node.snooze_on_override),
            snooze_on_accept=self._length(node.snooze_on_accept),
            group=node.group,
            priority=node.priority,
            allow_suppress=node.allow_suppress,
        )

    def _check_once_per(self, names: Iterable[str]) -> None:
        for index, name in enumerate(names):
            if name not in PLAIN:
                self._check(name, ("alerting", "once_per", index))
        if "user" not in names:
            self.findings.note(
                self.rule.document,
                ("alerting", "once_per"),
                "CDS803",
                "once one clinician has seen or overridden it, this card is held back"
                " for all",
                "add `user`, unless this is intended",
                key=True,
            )

    def _check(self, name: str, path: Path) -> None:
        fact, _, attribute = name.partition(".")
        if fact not in self.facts:
            message = f"there is no fact {quote(fact)} in this rule"
            self._error(path, "CDS502", message, suggest(fact, self.facts))
            return
        self.used_facts.add(fact)
        kind = KINDS[self.facts[fact].kind]
        shows = kind.shows | kind.may_show
        if attribute not in shows:
            message = f"{quote(fact)} has no {quote(attribute)} to show"
            self._error(path, "CDS503", message, suggest(attribute, shows))

    def _repeat_after(self, own: Amount | None) -> Duration | None:
        """The site's own, else the rule's."""
        if self.site_document is not None:
            local = ("rules", self.rule.name, "repeat_after")
            written = self.site_document.value(local)
            if written is not None:
                length = parse_duration(written)
                if length is None:
                    self._no_duration(written, local, self.site_document)
                return length
        return self._length(own)

    def _snooze(self, nodes: Iterable[Snooze]) -> dict[str, Duration]:
        snooze = {}
        for node in nodes:
            length = self._length(node.length)
            reason = self._reason(node)
            if length and reason is not None:
                snooze[reason] = length
        return snooze

    def _reason(self, node: Snooze) -> str | None:
        if node.reason == EVERY_REASON:
            return ANY_REASON
        known = self.reasons.get(node.reason)
        if known is not None:
            return f"{known.system}|{known.code}"
        message = f"{quote(node.reason)} is not an override reason"
        help = suggest(node.reason, self.reasons)
        help = help or f"`{EVERY_REASON}` stands for all others"
        self._error(node.path, "CDS507", message, help)
        return None

    def _length(self, amount: Amount | None) -> Duration | None:
        if amount is None:
            return None
        if isinstance(amount.value, Duration):
            return amount.value
        self._no_duration(str(amount.written), amount.path, self.rule.document)
        return None

    def _no_duration(self, written: str, path: Path, document: Document) -> None:
        message = f"{quote(written)} is not a duration"
        help = "write e.g. `24 hours`, `14 days`, `3 months`; at most 150 years"
        self.findings.error(document, path, "CDS222", message, help)

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.rule.document, path, code, message, help)
