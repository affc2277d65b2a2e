"""A JSON Schema as one function that says yes or no.

Every answer is checked before it leaves and every rule file when rules are read, so the
question is compiled once, from the schema's file. The keywords are those that our
schemas use; a schema with any other is refused. What is wrong with a value that does
not hold is jsonschema's to say.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import keywords
from .keywords import Check, UnknownKeyword

__all__ = ["Check", "UnknownKeyword", "compile_schema"]

Schema = Mapping[str, Any]


def compile_schema(schema: Schema) -> Check:
    """Whether a value satisfies *schema*, as a function.

    A schema may hold itself, by reference or as an object.

    Raises:
        UnknownKeyword: for a keyword, or an argument of it, that is not known here.

    Source: JSON Schema 2020-12 and draft 7, Core and Validation.
    """
    return _Compiler(schema).compile(schema)


class _Compiler:
    def __init__(self, whole: Schema) -> None:
        self.whole = whole
        self.built: dict[int, Check] = {}
        """By the identity of the schema; refuses everything while it is under way."""

    def compile(self, schema: Schema | bool) -> Check:
        if isinstance(schema, bool):
            return lambda value: schema
        key = id(schema)
        if key not in self.built:
            self.built[key] = _no
            self.built[key] = self._assemble(schema)
        found = self.built[key]
        # A schema that holds itself is looked up when it is asked.
        return found if found is not _no else lambda value: self.built[key](value)

    def _assemble(self, schema: Schema) -> Check:
        unknown = schema.keys() - _KEYWORDS.keys() - _BESIDE
        if unknown:
            raise UnknownKeyword(", ".join(sorted(unknown)))
        checks = [
            build(self, schema[keyword], schema)
            for keyword, build in _KEYWORDS.items()
            if keyword in schema
        ]
        return checks[0] if len(checks) == 1 else _all_of(checks)

    def reference(self, pointer: str, _: Schema) -> Check:
        return self.compile(self.whole["$defs"][pointer.removeprefix("#/$defs/")])

    def properties(self, schemas: Schema, _: Schema) -> Check:
        checks = {name: self.compile(each) for name, each in schemas.items()}

        def check(value: Any) -> bool:
            if isinstance(value, dict):
                for name, inner in value.items():
                    if name in checks and not checks[name](inner):
                        return False
            return True

        return check

    def additional(self, wanted: Schema | bool, schema: Schema) -> Check:
        known = schema.get("properties", {}).keys()
        if wanted is False:
            return lambda value: not isinstance(value, dict) or value.keys() <= known
        check = self.compile(wanted)
        return lambda value: not isinstance(value, dict) or all(
            name in known or check(inner) for name, inner in value.items()
        )

    def names(self, wanted: Schema, _: Schema) -> Check:
        check = self.compile(wanted)
        return lambda value: not isinstance(value, dict) or all(map(check, value))

    def items(self, wanted: Schema, _: Schema) -> Check:
        check = self.compile(wanted)
        return lambda value: not isinstance(value, list) or all(map(check, value))

    def contains(self, wanted: Schema, schema: Schema) -> Check:
        check = self.compile(wanted)
        least = schema.get("minContains", 1)
        most = schema.get("maxContains", float("inf"))
        return lambda value: (
            not isinstance(value, list) or least <= sum(map(check, value)) <= most
        )

    def condition(self, wanted: Schema, schema: Schema) -> Check:
        condition = self.compile(wanted)
        then = self.compile(schema.get("then", True))
        otherwise = self.compile(schema.get("else", True))
        return lambda value: then(value) if condition(value) else otherwise(value)

    def negation(self, wanted: Schema, _: Schema) -> Check:
        check = self.compile(wanted)
        return lambda value: not check(value)

    def any_of(self, schemas: Sequence[Schema], _: Schema) -> Check:
        checks = [self.compile(each) for each in schemas]
        return lambda value: any(check(value) for check in checks)

    def one_of(self, schemas: Sequence[Schema], _: Schema) -> Check:
        checks = [self.compile(each) for each in schemas]
        return lambda value: sum(check(value) for check in checks) == 1

    def all_of(self, schemas: Sequence[Schema], _: Schema) -> Check:
        return _all_of([self.compile(each) for each in schemas])


def _no(_: Any) -> bool:
    return False


def _all_of(checks: Sequence[Check]) -> Check:
    def check(value: Any) -> bool:
        for each in checks:
            if not each(value):
                return False
        return True

    return check


def _simple(build: Callable[[Any], Check]) -> Callable[..., Check]:
    return lambda compiler, argument, schema: build(argument)


_KEYWORDS: Mapping[str, Callable[[_Compiler, Any, Schema], Check]] = {
    "type": _simple(keywords.check_type),
    "enum": _simple(keywords.check_enum),
    "const": _simple(keywords.check_const),
    "required": _simple(keywords.check_required),
    "dependentRequired": _simple(keywords.check_dependencies),
    "dependencies": _simple(keywords.check_dependencies),
    "minLength": _simple(keywords.check_least(str)),
    "maxLength": _simple(keywords.check_most(str)),
    "minItems": _simple(keywords.check_least(list)),
    "maxItems": _simple(keywords.check_most(list)),
    "minProperties": _simple(keywords.check_least(dict)),
    "maxProperties": _simple(keywords.check_most(dict)),
    "minimum": _simple(keywords.check_number(operator.ge)),
    "maximum": _simple(keywords.check_number(operator.le)),
    "exclusiveMinimum": _simple(keywords.check_number(operator.gt)),
    "exclusiveMaximum": _simple(keywords.check_number(operator.lt)),
    "multipleOf": _simple(
        keywords.check_number(lambda value, step: (value / step).is_integer())
    ),
    "uniqueItems": _simple(keywords.check_unique),
    "format": _simple(keywords.check_format),
    "pattern": _simple(keywords.check_pattern),
    "propertyNames": _Compiler.names,
    "additionalProperties": _Compiler.additional,
    "properties": _Compiler.properties,
    "items": _Compiler.items,
    "contains": _Compiler.contains,
    "if": _Compiler.condition,
    "not": _Compiler.negation,
    "allOf": _Compiler.all_of,
    "anyOf": _Compiler.any_of,
    "oneOf": _Compiler.one_of,
    "$ref": _Compiler.reference,
}
"""The cheap ones first."""

_BESIDE = {
    "$schema", "$id", "$defs", "definitions", "title", "description", "examples",
    "words", "defaultSnippets",
    "errorMessage", "patternErrorMessage", "typeErrorMessage", "keyErrorMessage",
    "markdownEnumDescriptions", "then", "else", "minContains", "maxContains",
}  # fmt: skip
"""Words about the schema, and what another keyword reads."""
