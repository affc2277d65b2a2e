"""One rule file, compiled."""

from collections.abc import Mapping
from typing import Any

from ...protocol.cards import Coding, Indicator
from ...protocol.feedback import OVERRIDE_REASONS
from ...protocol.hooks import HOOKS
from ..engine import criteria, person
from ..engine.alerting import Alerting
from ..engine.facts import Criterion, Fact
from ..engine.rules import Evidence, Param, Rule, Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document
from ..values.intervals import Duration
from .alerting_builder import AlertingBuilder
from .card_builder import CardBuilder
from .conflicts import check_conflicts
from .fact_builder import FactBuilder, Shelf
from .life_cycle import build_life_cycle
from .limits import number_or_duration, size
from .params import check_param
from .score_builder import build_scores
from .when_builder import WhenBuilder

ALIVE = "patient is alive"
"""The criterion of every rule that does not say ``deceased: any``."""


def build_rule(
    document: Document,
    shelf: Shelf,
    site: Site,
    site_document: Document | None,
    findings: Findings,
) -> Rule | None:
    """The rule of a file whose shape is right; None where an error was found."""
    return _RuleBuilder(document, shelf, site, site_document, findings).build()


class _RuleBuilder:
    def __init__(
        self,
        document: Document,
        shelf: Shelf,
        site: Site,
        site_document: Document | None,
        findings: Findings,
    ) -> None:
        self.document = document
        self.data: Mapping[str, Any] = document.data
        self.shelf = shelf
        self.site = site
        self.site_document = site_document
        self.findings = findings
        self.local: Mapping[str, Any] = (
            site_document.data.get("rules", {}).get(self.data["rule"], {})
            if site_document
            else {}
        )

    def build(self) -> Rule | None:
        self._check_name()
        params = self._params()
        facts = FactBuilder(self.shelf, self.document, ("facts",)).build_all()
        whens = WhenBuilder(self.document, facts, params, self.findings)
        facts |= build_scores(whens, ("facts",), self.shelf.reader("score"))
        whens.facts |= facts
        when = whens.build(("when",)) if len(facts) == len(self.data["facts"]) else None
        reasons: dict[str, Coding] = {
            **OVERRIDE_REASONS,
            **self.site.override_reasons,
        }
        if when is not None:
            check_conflicts(self.document, whens.facts, params, self.findings)
        builder = CardBuilder(
            self.document,
            facts,
            params,
            reasons,
            self.site.orders,
            self.shelf,
            whens,
            self.findings,
        )
        cards = builder.build_all(when, self._severity()) if when is not None else ()
        if when is None:
            return None
        shown = AlertingBuilder(
            self.document, self.site_document, facts, reasons, self.findings
        )
        alerting = shown.build()
        whens.used_facts |= shown.used_facts
        self._check_use(facts, params, whens)
        self._check_safety(cards)
        self._check_drafts(facts)
        return self._rule(facts, params, whens, when, cards, alerting)

    def _rule(
        self,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        whens: WhenBuilder,
        when: Criterion,
        cards: Any,
        alerting: Alerting,
    ) -> Rule:
        governance = self.data.get("governance", {})
        cycle = build_life_cycle(
            self.document, self.site, self.site_document, self.findings
        )
        return Rule(
            id=self.data["rule"],
            version=self.data["version"],
            title=self.data["title"],
            file=self.document.file,
            status=cycle.status,
            approved=cycle.approved,
            served=cycle.served,
            hooks=tuple(self.data["hooks"]),
            facts={name: whens.finished(name) for name in facts},
            params=params,
            when=self._for_the_living(when),
            if_unknown=self.data.get("if_unknown", "silent"),
            cards=cards,
            effective=cycle.effective,
            expires=cycle.expires,
            review_by=cycle.review_by,
            alerting=alerting,
            evidence=tuple(
                Evidence(each["citation"], each.get("url", ""), each.get("year"))
                for each in governance.get("evidence", ())
            ),
        )

    def _for_the_living(self, when: Criterion) -> Criterion:
        if self.data.get("deceased") == "any":
            return when
        alive = Criterion(ALIVE, when.position, person.alive())
        predicate = criteria.conjunction([alive.predicate, when.predicate])
        return Criterion("all", when.position, predicate, (alive, when), operator="all")

    def _check_name(self) -> None:
        stem = self.document.file.rpartition("/")[2].removesuffix(".yaml")
        if stem != self.data["rule"]:
            message = f"the file is called {quote(stem)}, the rule is not"
            self._error(("rule",), "CDS607", message, f"write `rule: {stem}`")
        for index, hook in enumerate(self.data["hooks"]):
            if hook not in HOOKS and "." not in hook:
                message = f"{quote(hook)} is no hook"
                self._error(("hooks", index), "CDS015", message, suggest(hook, HOOKS))

    def _params(self) -> dict[str, Param]:
        params = {}
        for name, body in self.data.get("params", {}).items():
            value = self._param_value(name, body)
            if value is not None:
                params[name] = Param(name, value, body.get("unit", ""))
        for name in self.local.get("params", {}):
            if name not in params:
                self._site_error(
                    ("params", name),
                    "CDS018",
                    f"the rule has no param {quote(name)}",
                    suggest(name, params) or "remove it",
                )
        return params

    def _param_value(self, name: str, body: Mapping[str, Any]) -> Any:
        default = number_or_duration(body["default"])
        if default is None:
            message = f"{quote(body['default'])} is neither a number nor a duration"
            help = "write a number, or e.g. `7 days`"
            self._error(("params", name, "default"), "CDS222", message, help)
            return None
        check_param(self.document, name, default, self.findings)
        if name not in self.local.get("params", {}):
            return default
        written = self.local["params"][name]
        value = number_or_duration(written)
        if value is None or isinstance(value, Duration) is not isinstance(
            default, Duration
        ):
            message = f"{quote(written)} does not fit; the rule has {body['default']}"
            help = "write a value of the same kind"
            self._site_error(("params", name), "CDS018", message, help)
            return default
        low, high = (number_or_duration(body.get(bound)) for bound in ("min", "max"))
        if (low is not None and size(value) < size(low)) or (
            high is not None and size(value) > size(high)
        ):
            bounds = f"{body.get('min', '…')} to {body.get('max', '…')}"
            message = f"{written} is outside what the rule allows: {bounds}"
            help = "choose a value within, or have the rule itself changed"
            self._site_error(("params", name), "CDS018", message, help)
        return value

    def _severity(self) -> Indicator | None:
        """The highest severity that the site allows; it may only lower it."""
        written = self.local.get("severity")
        if written is None:
            return None
        limit, highest = Indicator[written.upper()], self._highest()
        if limit > highest:
            self._site_error(
                ("severity",),
                "CDS616",
                f"the rule's own severity is {highest.name.lower()}; a site may only"
                " lower it",
                "a rule that is more severe is another version of the rule",
            )
        return limit

    def _highest(self) -> Indicator:
        own = self.data.get("severity", "info")
        cards = self.data.get("cards") or [self.data["card"]]
        return max(Indicator[each.get("severity", own).upper()] for each in cards)

    def _check_use(
        self,
        facts: Mapping[str, Fact],
        params: Mapping[str, Param],
        whens: WhenBuilder,
    ) -> None:
        joined = {
            part.name
            for name in whens.used_facts
            for part in (facts[name].parts if name in facts else ())
        }
        for name in facts:
            if name not in whens.used_facts | joined:
                message = f"nothing uses the fact {quote(name)}"
                self.findings.warning(
                    self.document, ("facts", name), "CDS401", message, key=True
                )
        for name in params:
            if name not in whens.limits.used_params:
                message = f"nothing uses the param {quote(name)}"
                self.findings.warning(
                    self.document, ("params", name), "CDS402", message, key=True
                )

    def _check_drafts(self, facts: Mapping[str, Fact]) -> None:
        """What is read from draft orders needs hooks whose context has them."""
        drafts = [
            name
            for name, fact in facts.items()
            if any("draft_orders" in each.origins for each in fact.simple())
        ]
        for index, hook in enumerate(self.data["hooks"] if drafts else ()):
            if hook in HOOKS and not HOOKS[hook].carries_orders:
                orders = [n for n, each in HOOKS.items() if each.carries_orders]
                self.findings.warning(
                    self.document,
                    ("hooks", index),
                    "CDS640",
                    f"{quote(hook)} has no draft orders, which {quote(drafts[0])} "
                    "reads: each call would say that the rule could not be checked",
                    "keep hooks that have them: "
                    + ", ".join(n for n in orders if not HOOKS[n].deprecated),
                )

    def _check_safety(self, cards: Any) -> None:
        critical = any(card.severity is Indicator.CRITICAL for card in cards)
        if critical and "if_unknown" not in self.data:
            self._error(
                ("rule",),
                "CDS801",
                "a critical card needs an explicit `if_unknown`",
                "say `silent`, `note` or `fire` on purpose",
            )
        for name, body in self.data["facts"].items():
            if "observation" in body and "within" not in body["observation"]:
                self.findings.warning(
                    self.document,
                    ("facts", name, "observation"),
                    "CDS802",
                    f"{quote(name)} reads results of any age",
                    "limit it with `within:`",
                    key=True,
                )

    def _error(self, path: Any, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.document, path, code, message, help)

    def _site_error(
        self, path: tuple[str, ...], code: str, message: str, help: str = ""
    ) -> None:
        assert self.site_document is not None
        where = ("rules", self.data["rule"], *path)
        self.findings.error(self.site_document, where, code, message, help)
