"""The ``alerting`` section of a rule file, with what ``site.yaml`` makes of it."""

from collections.abc import Collection, Mapping
from typing import Any

from ...protocol.cards import Coding
from ..engine.alerting import ANY_REASON, OF_THE_CALL, ONCE_PER, Alerting
from ..engine.facts import KINDS, Fact
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..values.intervals import Duration, parse_duration

PLAIN = ("patient", "rule", "severity", *OF_THE_CALL)
"""What ``once_per`` may name beside attributes of facts."""
OTHER = "other"
"""In ``snooze_on_override``: every reason that is not named, and none given."""


class AlertingBuilder:
    """Builds the alerting of one rule."""

    def __init__(
        self,
        document: Document,
        site_document: Document | None,
        facts: Mapping[str, Fact],
        reasons: Mapping[str, Coding],
        findings: Findings,
    ) -> None:
        self.document = document
        self.site_document = site_document
        self.facts = facts
        self.reasons = reasons
        """The override reasons that there are, by code."""
        self.findings = findings
        self.used_facts: set[str] = set()

    def build(self) -> Alerting:
        """What the rule says; the defaults where there is an error."""
        data: Mapping[str, Any] = self.document.data.get("alerting", {})
        return Alerting(
            once_per=self._once_per(data.get("once_per", ONCE_PER)),
            repeat_after=self._repeat_after(data),
            snooze=self._snooze(data.get("snooze_on_override")),
            snooze_on_accept=self._snooze_on_accept(data),
            group=data.get("group", ""),
            priority=data.get("priority", 0),
            allow_suppress=data.get("allow_suppress", False),
        )

    def _once_per(self, names: Collection[str]) -> tuple[str, ...]:
        for index, name in enumerate(names):
            if name not in PLAIN:
                self._check(name, ("alerting", "once_per", index))
        if "user" not in names:
            self.findings.note(
                self.document,
                ("alerting", "once_per"),
                "CDS803",
                "what one clinician saw or overrode holds this card back for all",
                "add `user`, unless that is meant",
                key=True,
            )
        return tuple(names)

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

    def _repeat_after(self, data: Mapping[str, Any]) -> Duration | None:
        """The site's own, else the rule's."""
        if self.site_document is not None:
            local = ("rules", self.document.data["rule"], "repeat_after")
            written = self.site_document.value(local)
            if written is not None:
                return self._duration(written, local, self.site_document)
        if "repeat_after" not in data:
            return None
        path = ("alerting", "repeat_after")
        return self._duration(data["repeat_after"], path, self.document)

    def _snooze_on_accept(self, data: Mapping[str, Any]) -> Duration | None:
        if "snooze_on_accept" not in data:
            return None
        path = ("alerting", "snooze_on_accept")
        return self._duration(data["snooze_on_accept"], path, self.document)

    def _snooze(self, written: Any) -> dict[str, Duration]:
        path = ("alerting", "snooze_on_override")
        if written is None:
            return {}
        if isinstance(written, str):
            length = self._duration(written, path, self.document)
            return {ANY_REASON: length} if length else {}
        snooze = {}
        for code, each in written.items():
            length = self._duration(each, (*path, code), self.document)
            reason = ANY_REASON if code == OTHER else self._reason(code, (*path, code))
            if length and reason is not None:
                snooze[reason] = length
        return snooze

    def _reason(self, code: str, path: Path) -> str | None:
        known = self.reasons.get(code)
        if known is not None:
            return f"{known.system}|{known.code}"
        message = f"{quote(code)} is no override reason"
        help = suggest(code, self.reasons) or f"`{OTHER}` stands for all others"
        self._error(path, "CDS507", message, help)
        return None

    def _duration(self, text: str, path: Path, document: Document) -> Duration | None:
        length = parse_duration(text)
        if length is None:
            message = f"{quote(text)} is not a duration"
            help = "write e.g. `24 hours`, `14 days`, `3 months`; at most 150 years"
            self.findings.error(document, path, "CDS222", message, help)
        return length

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.document, path, code, message, help)
