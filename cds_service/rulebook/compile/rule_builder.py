"""One rule file, compiled."""

from collections.abc import Iterable, Mapping

from ...protocol.cards import Coding, Indicator
from ...protocol.feedback import OVERRIDE_REASONS
from ...protocol.hooks import HOOKS
from ..engine import criteria, person
from ..engine.alerting import Alerting
from ..engine.facts import Criterion, Fact
from ..engine.rules import CardTemplate, Param, Rule, Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.tree import ObservationFact, RuleTree
from .alerting_builder import AlertingBuilder
from .card_builder import CardBuilder
from .conflicts import check_conflicts
from .fact_builder import DRAFT_ORDERS, FactBuilder, Shelf
from .life_cycle import build_life_cycle
from .params import ParamBuilder
from .when_builder import WhenBuilder

ALIVE = "patient is alive"
"""The criterion of every rule that does not say ``deceased: any``."""


def build_rule(
    rule: RuleTree,
    shelf: Shelf,
    site: Site,
    site_document: Document | None,
    findings: Findings,
) -> Rule | None:
    """The rule of a file; None where an error was found."""
    return _RuleBuilder(rule, shelf, site, site_document, findings).build()


class _RuleBuilder:
    def __init__(
        self,
        rule: RuleTree,
        shelf: Shelf,
        site: Site,
        site_document: Document | None,
        findings: Findings,
    ) -> None:
        self.rule = rule
        self.shelf = shelf
        self.site = site
        self.site_document = site_document
        self.findings = findings

    def build(self) -> Rule | None:
        rule, findings = self.rule, self.findings
        self._check_name()
        params = ParamBuilder(rule, self.site_document, findings).build()
        facts = FactBuilder(self.shelf, rule.document).build_all(rule.facts)
        whens = WhenBuilder(rule, facts, params, findings)
        whens.add_scores(self.shelf.reader("score"))
        facts = dict(whens.facts)
        when = whens.build(rule.when) if len(facts) == len(rule.facts) else None
        if when is None:
            return None
        check_conflicts(rule, facts, params, findings)
        reasons: dict[str, Coding] = {**OVERRIDE_REASONS, **self.site.override_reasons}
        builder = CardBuilder(
            rule, facts, params, reasons, self.site, self.shelf, whens, findings
        )
        cards = builder.build_all(when, self._severity())
        shown = AlertingBuilder(rule, self.site_document, facts, reasons, findings)
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
        cards: tuple[CardTemplate, ...],
        alerting: Alerting,
    ) -> Rule:
        rule = self.rule
        cycle = build_life_cycle(rule, self.site, self.site_document, self.findings)
        return Rule(
            id=rule.name,
            version=rule.version,
            title=rule.title,
            file=rule.document.file,
            status=cycle.status,
            approved=cycle.approved,
            served=cycle.served,
            hooks=rule.hooks,
            facts={name: whens.finished(name) for name in facts},
            params=params,
            when=self._for_the_living(when),
            if_unknown=rule.if_unknown,
            cards=cards,
            effective=cycle.effective,
            expires=cycle.expires,
            review_by=cycle.review_by,
            alerting=alerting,
            evidence=rule.governance.evidence,
            owner=rule.governance.owner,
        )

    def _for_the_living(self, when: Criterion) -> Criterion:
        if self.rule.deceased == "any":
            return when
        alive = Criterion(ALIVE, when.position, person.alive())
        predicate = criteria.conjunction([alive.verdict, when.verdict])
        return Criterion("all", when.position, predicate, (alive, when), operator="all")

    def _check_name(self) -> None:
        stem = self.rule.document.file.rpartition("/")[2].removesuffix(".yaml")
        if stem != self.rule.name:
            message = f"the file is called {quote(stem)}, the rule is not"
            self._error(("rule",), "CDS607", message, f"write `rule: {stem}`")
        for index, hook in enumerate(self.rule.hooks):
            if hook not in HOOKS and "." not in hook:
                message = f"{quote(hook)} is not a hook"
                self._error(("hooks", index), "CDS015", message, suggest(hook, HOOKS))

    def _severity(self) -> Indicator | None:
        """The highest severity that the site allows; it may only lower it."""
        if self.site_document is None:
            return None
        where = ("rules", self.rule.name, "severity")
        written = self.site_document.value(where)
        if written is None:
            return None
        limit, highest = Indicator[written.upper()], self.rule.severity
        if limit > highest:
            message = f"the rule's own severity is {highest.name.lower()}; a site may "
            self.findings.error(
                self.site_document,
                where,
                "CDS616",
                message + "only lower it",
                "a rule that is more severe is another version of the rule",
            )
        return limit

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
                self._warn(("facts", name), "CDS401", message, key=True)
        for name in params:
            if name not in whens.limits.used_params:
                message = f"nothing uses the param {quote(name)}"
                self._warn(("params", name), "CDS402", message, key=True)

    def _check_drafts(self, facts: Mapping[str, Fact]) -> None:
        """What is read from draft orders needs hooks whose context has them."""
        drafts = [
            name
            for name, fact in facts.items()
            if any(DRAFT_ORDERS in each.origins for each in fact.simple())
        ]
        for index, hook in enumerate(self.rule.hooks if drafts else ()):
            if hook in HOOKS and not HOOKS[hook].carries_orders:
                orders = [n for n, each in HOOKS.items() if each.carries_orders]
                self._warn(
                    ("hooks", index),
                    "CDS640",
                    f"{quote(hook)} has no draft orders, which {quote(drafts[0])} "
                    "reads: each call would say that the rule could not be checked",
                    "keep hooks that have them: "
                    + ", ".join(n for n in orders if not HOOKS[n].deprecated),
                )

    def _check_safety(self, cards: Iterable[CardTemplate]) -> None:
        critical = any(card.severity is Indicator.CRITICAL for card in cards)
        if critical and not self.rule.says("if_unknown"):
            self._error(
                ("rule",),
                "CDS801",
                "a critical card needs an explicit `if_unknown`",
                "say `silent`, `note` or `fire` on purpose",
            )
        for name, node in self.rule.facts.items():
            if isinstance(node, ObservationFact) and node.period is None:
                message = f"{quote(name)} reads results of any age"
                help = "limit it with `within:`"
                self._warn(node.path, "CDS802", message, help, key=True)

    def _error(self, path: Path, code: str, message: str, help: str = "") -> None:
        self.findings.error(self.rule.document, path, code, message, help)

    def _warn(
        self, path: Path, code: str, message: str, help: str = "", key: bool = False
    ) -> None:
        self.findings.warning(self.rule.document, path, code, message, help, key)
