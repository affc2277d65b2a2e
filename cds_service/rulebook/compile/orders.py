"""What rules suggest to order, by name, and the site's own code of each.

A rule says ``code: {order: ecg-12-lead, text: 12-lead ECG}``. With a code of the site
it becomes a Coding beside the text; without one the text stays alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...fhir.code_systems import (
    SYSTEMS,
    canonical_system,
    has_good_check_digit,
    is_well_formed,
    normalise_code,
    written_code,
)
from ...protocol.cards import Coding
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from ..language.tree import RuleTree

ORDER, TEXT = "order", "text"


def build_orders(document: Document, findings: Findings) -> dict[str, Coding | None]:
    """The site's code of each order that it lists; None where it has none."""
    return {
        name: _coding(document, ("orders", name), body, findings) if body else None
        for name, body in document.data.get("orders", {}).items()
    }


def _coding(
    document: Document, path: Path, body: Mapping[str, Any], findings: Findings
) -> Coding:
    system = canonical_system(body["system"])
    code = normalise_code(system, body["code"])
    if system not in SYSTEMS.values() and ":" not in system:
        message = f"{quote(body['system'])} is not a code system"
        help = suggest(body["system"], SYSTEMS) or "give the URI of the system"
        findings.error(document, (*path, "system"), "CDS673", message, help)
    elif not is_well_formed(system, code) or any(map(str.isspace, code)):
        message = f"{quote(body['code'])} does not look like a code of this system"
        help = "look the code up again, and check that its `system` is right"
        findings.error(document, (*path, "code"), "CDS673", message, help)
    elif not has_good_check_digit(system, code):
        message = f"the check digit of {quote(body['code'])} is wrong"
        help = "look the code up again; a digit may be mistyped"
        findings.error(document, (*path, "code"), "CDS673", message, help)
    return Coding(system, written_code(system, code), body["display"])


def coded(value: Any, orders: Mapping[str, Coding | None]) -> Any:
    """A resource template with every order in it as a CodeableConcept."""
    if _is_order(value):
        coding = orders.get(value[ORDER])
        written = {TEXT: value[TEXT]} if TEXT in value else {}
        if coding is None:
            return written
        said = {"system": coding.system, "code": coding.code, "display": coding.display}
        return {"coding": [said], **written}
    if isinstance(value, Mapping):
        return {name: coded(member, orders) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [coded(member, orders) for member in value]
    return value


def check_orders(
    site: Document | None, rules: Iterable[RuleTree], findings: Findings
) -> None:
    """Report orders without their text, that the site does not list, that none uses."""
    listed = site.data.get("orders", {}) if site else {}
    used = set()
    for rule in rules:
        for path, body in _orders(rule):
            used.add(body[ORDER])
            if body.keys() != {ORDER, TEXT}:
                message = "an order needs its name and a text, and nothing else"
                help = f"write `{{ order: {body[ORDER]}, text: … }}`"
                findings.error(rule.document, path, "CDS674", message, help, key=True)
            if listed and body[ORDER] not in listed:
                message = f"site.yaml does not list the order {quote(body[ORDER])}"
                help = suggest(body[ORDER], listed) or f"list it: `{body[ORDER]}: {{}}`"
                where = (*path, ORDER)
                findings.warning(rule.document, where, "CDS671", message, help)
    for name in listed:
        if site and name not in used:
            message, help = f"no rule uses the order {quote(name)}", "remove it"
            path = ("orders", name)
            findings.warning(site, path, "CDS672", message, help, key=True)


def _orders(rule: RuleTree) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Place and content of every order that a rule's actions name."""
    for action in rule.actions:
        yield from _within(action.content, action.place)


def _within(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if _is_order(value):
        yield path, value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _within(member, (*path, name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, member in enumerate(value):
            yield from _within(member, (*path, index))


def _is_order(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get(ORDER), str)
