"""What a broken keyword of a schema means to a person who writes rules."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ....protocol.schemas import BrokenKeyword
from ..diagnostics import closest, is_logic, quote, suggest
from ..document import Path
from . import remedies


class ShapeFault(NamedTuple):
    """One fault of shape, as ``Findings.error`` takes it."""

    path: Path
    code: str
    message: str
    help: str = ""
    key: bool = False
    meant: str = ""
    """The key that is missing or, probably, misspelt."""


def tell(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    """Yield what to say about a broken keyword, for each key that is at fault."""
    if not broken.is_name:
        return _WORDINGS.get(broken.keyword, _otherwise)(broken)
    path = (*broken.path, broken.value)
    message = f"{quote(broken.value)} is not a valid name"
    help = _advice(broken) + remedies.unlike_ascii(broken.value)
    return iter([ShapeFault(path, "CDS105", message, help, True)])


def without_echoes(faults: Collection[ShapeFault]) -> list[ShapeFault]:
    """The faults, but for those that a misspelt key beside them explains."""
    misspelt = {
        (fault.path[:-1], fault.meant) for fault in faults if fault.code == "CDS102"
    }
    beside = {path for path, _ in misspelt}
    return [
        fault
        for fault in faults
        if not (fault.code == "CDS101" and (fault.path, fault.meant) in misspelt)
        and not (fault.code == "CDS110" and fault.path in beside)
    ]


def _required(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    for name in broken.argument:
        if name not in broken.value:
            message = f"{quote(name)} is missing{_in(broken)}"
            help = remedies.add_key(name, broken.schema)
            yield ShapeFault(broken.path, "CDS101", message, help, True, name)


def _unexpected(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    known = broken.schema.get("properties", {})
    here = broken.path[-1] if broken.path else ""
    if isinstance(here, str) and is_logic(here) and here not in known:
        yield _no_logic(broken.path, here)
        return
    said = broken.schema.get("keyErrorMessage", "")
    for name in broken.value:
        if name not in known:
            message = f"{quote(name)} is not known{_in(broken)}"
            meant = closest(name, known) or ""
            help = remedies.choose_key(name, known) if meant or not said else ""
            help = "; ".join(each for each in (help, said) if each)
            path = (*broken.path, name)
            yield ShapeFault(path, "CDS102", message, help, True, meant)


def _type(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    if "enum" in broken.schema:
        return
    wanted = broken.argument
    wanted = [wanted] if isinstance(wanted, str) else wanted
    path = broken.path
    here = str(path[-1]) if path and isinstance(path[-1], str) else ""
    if "words" in broken.schema and is_logic(here):
        yield _no_logic(path, here)
        return
    meant = closest(here, broken.schema.get("words", ())) if here else None
    if meant and meant != here:
        message = f"{quote(here)} is not known here"
        yield ShapeFault(path, "CDS102", message, f"did you mean `{meant}`?", True)
        return
    subject = quote(here) if here else "this item" if path else "the file"
    expected = " or ".join(_TYPES[each] for each in wanted)
    if wanted == ["string"]:
        expected = broken.schema.get("title", expected)
    help = remedies.retype(broken.value, wanted, broken.schema)
    if broken.value is None:
        message = f"{subject} has no value; it is {expected}"
    else:
        message = f"{subject} is {expected}, not {_described(broken.value)}"
    yield ShapeFault(path, "CDS103", message, help)


def _no_logic(path: Path, here: str) -> ShapeFault:
    """A word of other languages in the place of `all`, `any` or `none`."""
    help = suggest(here, ("all", "any", "none"))
    return ShapeFault(path, "CDS102", f"{quote(here)} is not known here", help, True)


def _choice(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    allowed = broken.schema.get("enum", [broken.schema.get("const")])
    message = f"{quote(broken.value)} is not allowed here"
    help = _advice(broken) or remedies.choose_word(broken.value, allowed)
    yield ShapeFault(broken.path, "CDS104", message, help)


def _pattern(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    wanted = broken.schema.get("title", "what is allowed here")
    message = f"{quote(broken.value)} is not {wanted}"
    help = _advice(broken) + remedies.unlike_ascii(broken.value)
    yield ShapeFault(broken.path, "CDS105", message, help)


def _format(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    # What does not even look like a date breaks the pattern, and is told there.
    if re.search(broken.schema.get("pattern", ""), broken.value):
        message = f"{quote(broken.value)} is not a date in the calendar"
        yield ShapeFault(broken.path, "CDS105", message, "write a date that exists")


def _too_many_keys(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    names = ", ".join(quote(name) for name in list(broken.value)[:6])
    message = (
        f"only one key is allowed here, and there are {len(broken.value)}: {names}"
    )
    second = list(broken.value)[1]
    yield ShapeFault((*broken.path, second), "CDS106", message, _advice(broken), True)


def _too_few_keys(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    known = sorted(broken.schema.get("properties", {}))
    help = "allowed here: " + ", ".join(known) if known else "write it, or remove it"
    message = f"there is nothing{_in(broken) or ' here'}"
    yield ShapeFault(broken.path, "CDS106", message, help)


def _choose(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    if not isinstance(broken.value, dict):
        return
    message = broken.schema.get("errorMessage", "these parts do not fit together")
    help = remedies.fit(broken.keyword, broken.schema, broken.value)
    yield ShapeFault(broken.path, "CDS110", message, help, True)


def _together(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    for name, needed in broken.argument.items():
        missing = [each for each in needed if each not in broken.value]
        if name in broken.value and missing:
            lacking = " and ".join(quote(each) for each in missing)
            message = f"{quote(name)} requires {lacking}"
            help = f"add {lacking}, or remove {quote(name)}"
            yield ShapeFault((*broken.path, name), "CDS108", message, help, True)


def _bound(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    message = _BOUNDS[broken.keyword].format(
        limit=broken.argument, value=quote(broken.value), size=_size(broken.value)
    )
    help = remedies.bound(broken.keyword, broken.argument)
    yield ShapeFault(broken.path, "CDS107", message, help)


_BOUNDS = {
    "minItems": "the list has {size}; it needs at least {limit}",
    "maxItems": "the list has {size}; it takes at most {limit}",
    "minLength": "the text is empty",
    "maxLength": "the text is longer than {limit} characters",
    "uniqueItems": "the list contains an item twice",
    "minimum": "{value} is less than {limit}",
    "maximum": "{value} is more than {limit}",
    "exclusiveMinimum": "{value} is not more than {limit}",
    "multipleOf": "{value}is not a multiple of {limit}",
}


def _otherwise(broken: BrokenKeyword) -> Iterator[ShapeFault]:
    message = f"this does not fit: {broken.keyword} {quote(broken.argument)}"
    yield ShapeFault(broken.path, "CDS110", message, _advice(broken) or "correct it")


def _size(value: Any) -> str:
    size = len(value) if isinstance(value, list) else 0
    return {0: "no items", 1: "one item"}.get(size, f"{size} items")


def _in(broken: BrokenKeyword) -> str:
    """Return where, by the nearest key above; empty at the top of the file."""
    named = [each for each in broken.path if isinstance(each, str)]
    return f" in {quote(named[-1])}" if named else ""


def _advice(broken: BrokenKeyword) -> str:
    said = broken.schema.get("patternErrorMessage", broken.schema.get("errorMessage"))
    return str(said or "")


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    for kind, words in _DESCRIPTIONS:
        if isinstance(value, kind):
            return words
    return "nothing"


_DESCRIPTIONS: tuple[tuple[type, str], ...] = (
    (str, "text"),
    (dict, "a mapping of keys"),
    (list, "a list"),
    (int, "a number"),
    (float, "a number"),
)

_TYPES = {
    "string": "text",
    "object": "a mapping of keys",
    "array": "a list",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "empty",
}

_WORDINGS: Mapping[str, Callable[[BrokenKeyword], Iterator[ShapeFault]]] = {
    "required": _required,
    "additionalProperties": _unexpected,
    "type": _type,
    "enum": _choice,
    "const": _choice,
    "pattern": _pattern,
    "format": _format,
    "maxProperties": _too_many_keys,
    "minProperties": _too_few_keys,
    "oneOf": _choose,
    "anyOf": _choose,
    "not": _choose,
    "dependencies": _together,
    "minItems": _bound,
    "maxItems": _bound,
    "minLength": _bound,
    "maxLength": _bound,
    "uniqueItems": _bound,
    "minimum": _bound,
    "maximum": _bound,
    "exclusiveMinimum": _bound,
    "multipleOf": _bound,
}
