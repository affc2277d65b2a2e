"""Prefetch templates filled as a CDS Client fills them, simple FHIRPath included.

What cannot be filled is told with its reason: a client leaves such a key out.

Source: CDS Hooks 3.0.0 "Prefetch tokens", "Prefetch tokens containing Simpler
FHIRPath"; FHIR R4 "Search", "Escaping Search Parameters".
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from .token_grammar import BadToken, Day, Path, PathStep, Term, User, parse_token

TOKEN = re.compile(r"\{\{(.*?)\}\}")
_LITERAL = re.compile(
    r"(?:.*/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]+)(?:/_history/.*)?"
)
_CHOICES = (
    "Reference|CodeableConcept|Coding|Quantity|Period|Range|Ratio|Age|Timing|Money|"
    "Identifier|Attachment|Annotation|String|Boolean|Integer|Decimal|DateTime|Date|"
    "Time|Instant|Uri|Code"
)
"""The types that end the name of an element of several types."""


class Unfillable(Exception):
    """A template has no meaning for this call; the message says why."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What tokens can stand for in one call."""

    context: Mapping[str, Any]
    user: str = ""
    """Who is logged in, as ``Practitioner/1``; without it the context's user."""
    today: date | None = None
    answered: Mapping[str, Any] = field(default_factory=dict)
    """What the keys before gave: prefetch key to value."""
    read: Callable[[str], Any] | None = None
    """Reads a resource by ``Type/id``; None where there is none."""


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A resource that is known by its reference alone."""

    reference: str
    resource_type: str
    id: str


@dataclass(frozen=True, slots=True)
class _Node:
    """A value on the way, and the resource that it stands in."""

    value: Any
    home: Any


def fill_template(template: str, filling: Filling) -> str:
    """Return the query, relative to the FHIR server's base, that *template* means.

    Raises:
        Unfillable: if a token has no value here.
    """
    question = template.find("?")

    def fill(found: re.Match[str]) -> str:
        in_search = 0 <= question < found.start()
        return ",".join(_written(each, in_search) for each in _values(found, filling))

    query = TOKEN.sub(fill, template)
    if "{{" in query or "}}" in query:
        raise Unfillable("its braces do not match")
    if not {".", ".."}.isdisjoint(query.partition("?")[0].split("/")):
        raise Unfillable("it would leave the place that it names")
    return query


def keys_read(template: str) -> list[str]:
    """Return the other prefetch keys that a template builds on."""
    keys = []
    for token in TOKEN.findall(template):
        try:
            terms = parse_token(token)
        except BadToken:
            continue
        keys += [each.key for each in terms if isinstance(each, Path) and each.key]
    return keys


def _values(found: re.Match[str], filling: Filling) -> list[str]:
    token = found[1].strip()
    try:
        terms = parse_token(token)
    except BadToken as error:
        raise Unfillable(f"{{{{{token}}}}}: {error}") from error
    told = [each for term in terms for each in _evaluate(term, filling)]
    if not told:
        raise Unfillable(f"{{{{{token}}}}} has no value")
    return list(dict.fromkeys(told))


def _written(value: str, in_search: bool) -> str:
    """The value as it stands in a URL; in a search it never means two values."""
    return quote(re.sub(r"([\\,$|])", r"\\\1", value) if in_search else value)


def _evaluate(term: Term, filling: Filling) -> Iterator[str]:
    if isinstance(term, Day):
        yield _day(term, filling)
    elif isinstance(term, User):
        user = filling.user or filling.context.get("userId") or ""
        resource_type, _, id = str(user).partition("/")
        if resource_type == term.resource_type and id:
            yield id
    else:
        for node in _follow(term, filling):
            yield _simple(node.value)


def _day(term: Day, filling: Filling) -> str:
    if filling.today is None:
        raise Unfillable("the day is not known")
    try:
        return (filling.today + timedelta(days=term.offset)).isoformat()
    except OverflowError as error:
        raise Unfillable(f"{term.offset} days lead out of the calendar") from error


def _follow(path: Path, filling: Filling) -> list[_Node]:
    if path.key:
        if path.key not in filling.answered:
            raise Unfillable(f"the key {path.key}, which it reads, was not filled")
        root: Any = filling.answered[path.key]
    else:
        root = filling.context
    nodes = [_Node(root, root)] if root is not None else []
    for step in path.steps:
        nodes = [each for node in nodes for each in _take(node, step, filling)]
    return nodes


def _take(node: _Node, step: PathStep, filling: Filling) -> Iterator[_Node]:
    if step.resolves:
        yield from _resolve(node, filling)
    elif step.resource_type:
        if _type_of(node.value) == step.resource_type:
            yield node
    else:
        yield from _element(node, step.element, filling)


def _type_of(value: Any) -> str:
    if isinstance(value, _Elsewhere):
        return value.resource_type
    return str(value.get("resourceType")) if isinstance(value, Mapping) else ""


def _element(node: _Node, name: str, filling: Filling) -> Iterator[_Node]:
    value = node.value
    if isinstance(value, _Elsewhere):
        if name in ("id", "resourceType"):
            yield _Node(value.id if name == "id" else value.resource_type, None)
            return
        value = filling.read(value.reference) if filling.read else None
    if not isinstance(value, Mapping):
        return
    contained = "resourceType" in value and not _holds(node.home, value)
    home = value if contained else node.home
    found = value.get(name)
    if found is None:
        choice = re.compile(rf"{re.escape(name)}(?:{_CHOICES})")
        found = next((value[each] for each in value if choice.fullmatch(each)), None)
    for each in found if isinstance(found, list) else [found]:
        if each is not None:
            yield _Node(each, home)


def _holds(home: Any, resource: Any) -> bool:
    """Return whether *resource* is contained in *home*."""
    held = home.get("contained") if isinstance(home, Mapping) else None
    return isinstance(held, list) and any(each is resource for each in held)


def _resolve(node: _Node, filling: Filling) -> Iterator[_Node]:
    value = node.value
    reference = value.get("reference") if isinstance(value, Mapping) else value
    if not isinstance(reference, str) or not reference:
        return
    if reference.startswith("#"):
        held = node.home.get("contained") if isinstance(node.home, Mapping) else None
        for each in held if isinstance(held, list) else []:
            if isinstance(each, Mapping) and each.get("id") == reference[1:]:
                yield _Node(each, node.home)
        return
    local = _held(filling).get(reference)
    if local is not None:
        yield _Node(local, local)
        return
    literal = _LITERAL.fullmatch(reference)
    if literal:
        elsewhere = _Elsewhere(reference, literal["type"], literal["id"])
        yield _Node(elsewhere, None)


def _held(filling: Filling) -> dict[str, Any]:
    """The resources that the call itself holds, by every name they go by."""
    names: dict[str, Any] = {}
    for value in (*filling.context.values(), *filling.answered.values()):
        for name, resource in _named(value):
            names.setdefault(name, resource)
    return names


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return
    yield f"{value.get('resourceType')}/{value.get('id')}", value
    entries = value.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if isinstance(resource, Mapping):
            yield f"{resource.get('resourceType')}/{resource.get('id')}", resource
            if isinstance(entry.get("fullUrl"), str):
                yield entry["fullUrl"], resource


def _simple(value: Any) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("reference"), str):
        value = value["reference"]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float) and value != "":
        return str(value)
    raise Unfillable("it ends at an object, where a simple value is needed")
