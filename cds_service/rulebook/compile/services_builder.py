"""``services.yaml``: which rules an EHR gets on which hook."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...fhir.chart import Policy
from ...protocol.hooks import HOOKS
from ...protocol.services import Service
from ..engine.alerting import AboutData
from ..engine.rows.selectors import Selectors
from ..engine.rulebook import Program, ServiceRules
from ..engine.rules import Rule, Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..terminology.valuesets import ValueSet
from .prefetch import derive_queries, requirements

Services = dict[tuple[str, str], ServiceRules]
"""By service id and hook."""


def build_services(
    document: Document | None,
    rules: Mapping[str, Rule],
    selectors: Selectors,
    valuesets: Mapping[str, ValueSet],
    site: Site,
    digest: str,
    findings: Findings,
) -> Services:
    """Every service of the file on each of its hooks; none without a sound file."""
    services: Services = {}
    alertings = {rule.id: rule.alerting for rule in rules.values()}
    about_data = AboutData(site.data_reasons, alertings)
    for index, body in enumerate(document.data["services"] if document else ()):
        assert document is not None
        chosen = _choose(document, index, rules, findings)
        for number, hook in enumerate(body["hooks"]):
            where = ("services", index, "hooks", number)
            if hook not in HOOKS and "." not in hook:
                message = f"{quote(hook)} is not a hook"
                findings.error(document, where, "CDS015", message, suggest(hook, HOOKS))
                continue
            if (body["id"], hook) in services:
                message = f"{quote(body['id'])} is on {quote(hook)} twice"
                help = "give one of them another id, or join their rules"
                findings.error(document, where, "CDS016", message, help)
                continue
            offered = tuple(rule for rule in chosen if hook in rule.hooks)
            service = _service(body, hook, offered, selectors, valuesets, site, digest)
            services[body["id"], hook] = replace(service, about_data=about_data)
    return services


def check_served(
    services: Services,
    rules: Mapping[str, Rule],
    documents: Mapping[str, Document],
    findings: Findings,
) -> None:
    """Report rules in force that no service asks on any hook."""
    asked = {rule.id for each in services.values() for rule in each.rules}
    offered = sorted({hook for _, hook in services})
    for rule in rules.values():
        if rule.id in asked or not rule.is_evaluated:
            continue
        document = documents[rule.file]
        chosen = "no service names this rule or its folder: it is never evaluated"
        help = "add it to a service in services.yaml, or make it a draft"
        path: Path = ("rule",)
        if not set(rule.hooks) & set(offered):
            hooks = ", ".join(rule.hooks)
            chosen = f"no service is on {quote(hooks)}: the rule is never evaluated"
            help = "services are on " + (", ".join(offered) or "no hook")
            path = ("hooks",)
        findings.warning(document, path, "CDS641", chosen, help)


def _service(
    body: Mapping[str, Any],
    hook: str,
    rules: tuple[Rule, ...],
    selectors: Selectors,
    valuesets: Mapping[str, ValueSet],
    site: Site,
    digest: str,
) -> ServiceRules:
    used = {
        selectors.all[slot]: None
        for rule in rules
        if rule.is_evaluated
        for fact in rule.facts.values()
        for slot in fact.slots
    }
    policies = {
        name: Policy(policy) for name, policy in body.get("sources", {}).items()
    }
    included = bool(body.get("include_medications", False))
    queries = derive_queries(used, valuesets, policies, included)
    service = Service(
        id=body["id"],
        hook=hook,
        title=body["title"],
        description=body["description"],
        usage_requirements=requirements(
            body.get("usage_requirements", ""), queries, included
        ),
        prefetch={query.key: query.template for query in queries},
    )
    program = Program(selectors, rules)
    return ServiceRules(
        service, queries, policies, rules, program, site, digest, included
    )


def _choose(
    document: Document, index: int, rules: Mapping[str, Rule], findings: Findings
) -> tuple[Rule, ...]:
    """The rules that a service names, by id or by folder."""
    chosen: dict[str, Rule] = {}
    for number, name in enumerate(document.data["services"][index]["rules"]):
        folder = name.rstrip("/") + "/"
        found = [
            rule
            for rule in rules.values()
            if rule.id == name or rule.file.startswith(folder)
        ]
        if not found and not findings.has_errors:
            folders = {rule.file.rpartition("/")[0] for rule in rules.values()}
            findings.error(
                document,
                ("services", index, "rules", number),
                "CDS017",
                f"there is no rule or folder {quote(name)}",
                suggest(name, {*rules, *folders}) or "name a folder of rules",
            )
        if found and found[0].id == name and found[0].status == "retired":
            message = f"{quote(name)} is retired: it is not evaluated here"
            where = ("services", index, "rules", number)
            help = "name the rule that replaces it, or remove it"
            findings.warning(document, where, "CDS610", message, help)
        chosen.update((rule.id, rule) for rule in found)
    return tuple(rule for _, rule in sorted(chosen.items()))
