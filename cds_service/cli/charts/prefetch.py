"""``cds-service prefetch``: what each service asks an EHR for, and why."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ...fhir.chart import Policy, SourceQuery
from ...rulebook.compile import Asking, Derived, askings_of, derive, tokens_of
from ...rulebook.describe import criteria_of, uses_of
from ...rulebook.engine import ServiceRules
from ..rules.compiled import Compilation, compile_folder

_POLICIES = {
    Policy.REQUIRED: "required: without it the call is refused (412)",
    Policy.OPTIONAL: "optional: without it the checks that need it cannot be made",
    Policy.SKIP: "skip: this service never asks for it",
}
_SCOPES = {
    "patient": (
        "One read. It shows whose chart this is, and confirms that it is the right one."
    ),
    "conditions": (
        "Not narrowed by code or status: only a complete list shows that a patient "
        "does not have a problem."
    ),
    "medication_requests": (
        "Not narrowed by code or status: EHRs code medicines as products of many "
        "systems, and one that is left out would look like one that is not taken."
    ),
    "observations": "Only results with these codes.",
    "consents": (
        "Not narrowed: what a patient denies matters as much as what they permit."
    ),
}
_SCOPES["medication_statements"] = _SCOPES["medication_requests"]


@dataclass(frozen=True, slots=True)
class QueryReason:
    """A fact of a rule that a query is for."""

    rule: str
    fact: str
    file: str
    line: int
    valueset: str
    title: str
    codes: tuple[str, ...]
    """Those that the query names for this fact."""
    uses: tuple[tuple[str, int], ...]
    """Criteria in the author's words, each with its line."""

    def as_json(self) -> dict[str, Any]:
        """Return the reason for tools."""
        return {
            "rule": self.rule,
            "fact": self.fact,
            "file": self.file,
            "line": self.line,
            "valueset": self.valueset,
            "title": self.title,
            "codes": list(self.codes),
            "uses": [{"line": line, "text": text} for text, line in self.uses],
        }


@click.command()
@click.option("--service", "wanted", help="Only the service with this id.")
@click.option(
    "--rules",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The rules folder; by default CDS_RULES, or ./rules.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
def prefetch(wanted: str | None, rules: Path | None, form: str) -> None:
    """Print what each service asks an EHR for, and which rule needs it for what.

    Every template is derived from the facts that the rules read; below it stand the
    rule, the fact, its file and line, and what is asked of it. Exit code 0: printed; 2:
    usage, or the rules have errors.
    """
    compiled = compile_folder(rules)
    services = [
        each
        for each in compiled.rulebook.services.values()
        if wanted in (None, each.service.id)
    ]
    if not services:
        known = ", ".join(sorted({each for each, _ in compiled.rulebook.services}))
        raise click.UsageError(f"there is no service {wanted}; services are: {known}")
    if form == "json":
        written = [_service_json(each, compiled) for each in services]
        click.echo(json.dumps({"services": written}, indent=2, ensure_ascii=False))
        return
    for each in services:
        click.echo("\n".join(_written(each, compiled)))


def explained(
    service: ServiceRules, compiled: Compilation
) -> list[tuple[SourceQuery, list[QueryReason]]]:
    """Return the queries of a service, skipped ones too, each with its facts."""
    selectors = service.program.selectors.all
    askings = [
        asking for rule in service.rules for asking in askings_of(rule, selectors)
    ]
    derived = derive(
        askings,
        compiled.rulebook.valuesets,
        service.policies,
        service.includes_medications,
    )
    return [(each.query, _reasons(each, service, compiled)) for each in derived]


def _reasons(
    derived: Derived, service: ServiceRules, compiled: Compilation
) -> list[QueryReason]:
    if derived.query.source == "patient":
        return list(_patient_reasons(service, compiled))
    return [_reason(each, derived.query, compiled) for each in derived.askings]


def _reason(asking: Asking, query: SourceQuery, compiled: Compilation) -> QueryReason:
    source = compiled.rule_file(asking.rule)
    valueset = compiled.rulebook.valuesets.get(asking.selector.valueset)
    named = query.template.partition("&code=")[2].partition("&")[0].split(",")
    uses = uses_of(source.rule, asking.fact)
    return QueryReason(
        asking.rule,
        asking.fact,
        compiled.place(source.rule.file),
        source.line(("facts", asking.fact)),
        valueset.name if valueset else "",
        valueset.title if valueset else "",
        (
            tuple(each for each in tokens_of(valueset) if each in named)
            if valueset
            else ()
        ),
        tuple((each.text, each.position.line) for each in uses),
    )


def _patient_reasons(
    service: ServiceRules, compiled: Compilation
) -> Iterable[QueryReason]:
    for rule in service.rules:
        leaves = dict.fromkeys(
            (each.text, each.position.line)
            for each in criteria_of(rule)
            if not each.fact and each.text.startswith("patient")
        )
        if leaves:
            file, line = compiled.place(rule.file), min(each[1] for each in leaves)
            yield QueryReason(rule.id, "patient", file, line, "", "", (), tuple(leaves))


def _service_json(service: ServiceRules, compiled: Compilation) -> Mapping[str, Any]:
    return {
        "id": service.service.id,
        "hook": service.service.hook,
        "queries": [
            {
                "key": query.key,
                "source": query.source,
                "policy": query.policy.value,
                "template": query.template,
                "asked_for": [each.as_json() for each in reasons],
            }
            for query, reasons in explained(service, compiled)
        ],
    }


def _written(service: ServiceRules, compiled: Compilation) -> Iterable[str]:
    yield f"{service.service.id} on {service.service.hook}"
    for query, reasons in explained(service, compiled):
        yield ""
        yield f"  {query.key}  ({_POLICIES[query.policy]})"
        if query.policy is not Policy.SKIP or query.source == "patient":
            yield f"    {query.template}"
        yield f"    {_scope(query)}"
        for reason in reasons:
            yield from _why(reason)
    yield ""
    yield "  Draft orders arrive with the call, and wearable alerts by webhook:"
    yield "  neither needs a query."
    yield ""


def _scope(query: SourceQuery) -> str:
    if query.source == "observations" and "&code=" not in query.template:
        return "All results: a search cannot say what a code begins with."
    return _SCOPES[query.source]


def _why(reason: QueryReason) -> Iterable[str]:
    yield f"    - {reason.rule}: {reason.fact}  {reason.file}:{reason.line}"
    if reason.valueset:
        yield f"        {reason.title} (value set {reason.valueset})"
    for code in reason.codes:
        yield f"        {code}"
    for text, line in reason.uses:
        yield f"        :{line}  {text}"
    if not reason.uses:
        yield "        shown in the text of the card"
