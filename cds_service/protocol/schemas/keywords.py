"""Keywords of JSON Schema that look at a value alone: argument in, check out."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence, Sized
from datetime import date
from typing import Any

Check = Callable[[Any], bool]
"""Whether a value satisfies a schema, or one keyword of it."""


class UnknownKeyword(Exception):
    """The schema asks for something that cannot be compiled here."""


_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int,),
    "null": (type(None),),
}


def check_type(names: str | Sequence[str]) -> Check:
    """``type``; true is no number, and 3.0 is an integer."""
    names = [names] if isinstance(names, str) else names
    if not _TYPES.keys() >= set(names):
        raise UnknownKeyword(f"type: {names}")
    types = tuple(each for name in names for each in _TYPES[name])
    if not {"number", "integer"} & set(names):
        return lambda value: isinstance(value, types)
    boolean, integer = "boolean" in names, "integer" in names

    def check(value: Any) -> bool:
        if isinstance(value, bool):
            return boolean
        return isinstance(value, types) or (
            integer and isinstance(value, float) and value.is_integer()
        )

    return check


def check_enum(allowed: Sequence[Any]) -> Check:
    """``enum``."""
    if all(isinstance(each, str) for each in allowed):
        return lambda value: isinstance(value, str) and value in allowed
    known = frozenset(map(_identity, allowed))
    return lambda value: _identity(value) in known


def check_const(wanted: Any) -> Check:
    """``const``."""
    if isinstance(wanted, bool):
        return lambda value: value is wanted
    return check_enum([wanted])


def check_unique(wanted: bool) -> Check:
    """``uniqueItems``."""
    if not wanted:
        return lambda value: True
    return lambda value: (
        not isinstance(value, list)
        or len(value) < 2
        or len(set(map(_identity, value))) == len(value)
    )


def _identity(value: Any) -> Hashable:
    """Equal for what JSON Schema holds to be equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, list):
        return tuple(map(_identity, value))
    if isinstance(value, dict):
        return frozenset((name, _identity(inner)) for name, inner in value.items())
    return (bool, value) if isinstance(value, bool) else value


def check_number(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Check]:
    """``minimum`` and its like, by how value and limit compare."""
    return lambda limit: (
        lambda value: not isinstance(value, (int, float))
        or isinstance(value, bool)
        or compare(value, limit)
    )


def check_format(name: str) -> Check:
    """``format``, of dates alone."""
    if name != "date":
        raise UnknownKeyword(f"format: {name}")
    return lambda value: not isinstance(value, str) or _is_date(value)


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_required(names: Sequence[str]) -> Check:
    """``required``."""
    wanted = frozenset(names)
    return lambda value: not isinstance(value, dict) or value.keys() >= wanted


def check_dependencies(names: Mapping[str, Sequence[str]]) -> Check:
    """``dependentRequired``, and ``dependencies`` on keys."""
    if not all(isinstance(each, list) for each in names.values()):
        raise UnknownKeyword("dependencies on anything but keys")
    wanted = {name: frozenset(others) for name, others in names.items()}
    return lambda value: not isinstance(value, dict) or all(
        name not in value or value.keys() >= others for name, others in wanted.items()
    )


def check_pattern(pattern: str) -> Check:
    """``pattern``."""
    search = re.compile(pattern).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def check_least(kind: type[Sized]) -> Callable[[int], Check]:
    """``minLength`` and its like, for values of a kind."""
    return lambda limit: (
        lambda value: not isinstance(value, kind) or len(value) >= limit
    )


def check_most(kind: type[Sized]) -> Callable[[int], Check]:
    """``maxLength`` and its like, for values of a kind."""
    return lambda limit: (
        lambda value: not isinstance(value, kind) or len(value) <= limit
    )
