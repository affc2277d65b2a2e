"""JSON Schemas of what crosses the wire, and the one door to what checks by a schema.

Every answer is checked before it leaves and every rule file when rules are read, so the
check is quick where all is well: jsonschema-rs says in microseconds whether a value
keeps its schema. What a value breaks is jsonschema's to say, which is imported when
there is something to say.

The two differ by themselves about patterns and dates. So the first matches patterns for
both, as ECMA 262 and editors do, to which neither `$` nor white space is what it is to
Python; and both take for a date what Python does.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from ..errors import Problem

if TYPE_CHECKING:
    from jsonschema.protocols import Validator as Explainer

NO_JSON = "json"
"""What a value breaks that JSON in UTF-8 has no way to write."""

Schema = Mapping[str, Any]


class BrokenKeyword(NamedTuple):
    """One keyword of a schema that a value breaks."""

    keyword: str
    argument: Any
    """What the schema says behind the keyword."""
    schema: Schema
    """The schema that the keyword stands in."""
    value: Any
    path: tuple[str | int, ...]
    """Of the value, from the top of what is checked."""
    is_name: bool = False
    """Whether the value is itself a key of the object at *path*."""
    place: str = "$"
    """The path as JSONPath."""


class Validator:
    """A schema that refers to nothing outside itself, compiled; thread-safe.

    Values are nested no deeper than a reader of JSON or YAML here lets them be: no
    library bounds what it is given.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._quick = jsonschema_rs.validator_for(
            dict(schema),
            formats={"date": _is_date},
            validate_formats=True,
            offline=True,
        )
        self._explainer: Explainer | None = None

    def holds(self, value: Any) -> bool:
        """Return whether *value* keeps the schema, as far as it can be JSON at all."""
        try:
            return self._quick.is_valid(value)
        except ValueError:
            # Half a character, or a type that JSON does not know.
            return False

    def faults(self, value: Any) -> list[BrokenKeyword]:
        """Return everything in *value* that breaks the schema; empty where it holds."""
        if self.holds(value):
            return []
        return self.explain(value) or [BrokenKeyword(NO_JSON, _WRITABLE, {}, value, ())]

    def explain(self, value: Any) -> list[BrokenKeyword]:
        """Return every keyword of the schema that *value* breaks, in milliseconds."""
        if self._explainer is None:
            self._explainer = _explainer(self._schema)
        return [
            BrokenKeyword(
                keyword=str(error.validator),
                argument=error.validator_value,
                schema=error.schema if isinstance(error.schema, dict) else {},
                value=error.instance,
                path=tuple(error.absolute_path),
                is_name="propertyNames" in error.absolute_schema_path,
                place=error.json_path,
            )
            for error in self._explainer.iter_errors(value)
        ]


def problems(name: str, value: Any) -> list[Problem]:
    """Return what breaks the schema *name*: where, which rule, and never the value."""
    return [
        Problem(
            f"{each.place}: {each.keyword}: {json.dumps(each.argument)}", each.place
        )
        for each in _validator(name).faults(value)
    ]


@cache
def _validator(name: str) -> Validator:
    return Validator(read_schema(name))


def read_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of that name, as in its file."""
    text = files(__package__).joinpath(f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _explainer(schema: Schema) -> "Explainer":
    """Return what names the faults of a value, by the notions of the quick check."""
    from jsonschema import FormatChecker, ValidationError
    from jsonschema.validators import extend, validator_for

    def pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(value, str) and not _matcher(pattern)(value):
            yield ValidationError(f"not as {pattern}")

    checker = FormatChecker(())
    checker.checks("date")(_is_date)
    kind = extend(validator_for(schema), {"pattern": pattern})
    explainer: Explainer = kind(schema, format_checker=checker)
    return explainer


@cache
def _matcher(pattern: str) -> Callable[[str], bool]:
    return Validator({"pattern": pattern}).holds


def _is_date(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return _DATE.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


_WRITABLE = "text in UTF-8 and finite numbers"
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
