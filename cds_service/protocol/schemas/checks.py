"""A JSON Schema as one function that says yes or no.

Every answer is checked before it leaves, so the question is compiled once, from the
schema's file. The keywords are those that our schemas use; a schema with any other is
refused. What is wrong with a value that does not hold is jsonschema's to say.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

Check = Callable[[Any], bool]
"""Whether a value satisfies a schema, or one keyword of it."""
Schema = Mapping[str, Any]


class UnknownKeyword(Exception):
    """The schema asks for something that cannot be compiled here."""


def compile_schema(schema: Schema) -> Check:
    """Whether a value satisfies *schema*, as a function.

    Raises:
        UnknownKeyword: for a keyword, or an argument of it, that is not known here.

    Source: JSON Schema 2020-12, Core and Validation.
    """
    return _Compiler(schema).compile(schema)


class _Compiler:
    def __init__(self, whole: Schema) -> None:
        self.whole = whole
        self.definitions: dict[str, Check] = {}

    def compile(self, schema: Schema | bool) -> Check:
        if isinstance(schema, bool):
            return lambda value: schema
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
        """A definition may hold itself, so it is looked up when it is asked."""
        name = pointer.removeprefix("#/$defs/")
        if name not in self.definitions:
            self.definitions[name] = _no
            self.definitions[name] = self.compile(self.whole["$defs"][name])
        return lambda value: self.definitions[name](value)

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


def _no(_: Any) -> bool:
    return False


def _all_of(checks: Sequence[Check]) -> Check:
    def check(value: Any) -> bool:
        for each in checks:
            if not each(value):
                return False
        return True

    return check


_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
}


def _type(names: str | Sequence[str], _: Schema) -> Check:
    names = [names] if isinstance(names, str) else names
    if not _TYPES.keys() >= set(names):
        raise UnknownKeyword(f"type: {names}")
    types = tuple(each for name in names for each in _TYPES[name])
    if "number" in names and "boolean" not in names:
        return lambda value: isinstance(value, types) and not isinstance(value, bool)
    return lambda value: isinstance(value, types)


def _one_of(allowed: Sequence[str], _: Schema) -> Check:
    if not all(isinstance(each, str) for each in allowed):
        raise UnknownKeyword("enum or const of anything but text")
    return lambda value: isinstance(value, str) and value in allowed


def _constant(wanted: Any, schema: Schema) -> Check:
    if isinstance(wanted, bool):
        return lambda value: value is wanted
    return _one_of([wanted], schema)


def _required(names: Sequence[str], _: Schema) -> Check:
    wanted = frozenset(names)
    return lambda value: not isinstance(value, dict) or value.keys() >= wanted


def _required_beside(names: Mapping[str, Sequence[str]], _: Schema) -> Check:
    wanted = {name: frozenset(others) for name, others in names.items()}
    return lambda value: not isinstance(value, dict) or all(
        name not in value or value.keys() >= others for name, others in wanted.items()
    )


def _pattern(pattern: str, _: Schema) -> Check:
    search = re.compile(pattern).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _at_least(kind: type[Sized]) -> Callable[[Any, int, Schema], Check]:
    return lambda _, limit, schema: (
        lambda value: not isinstance(value, kind) or len(value) >= limit
    )


def _at_most(kind: type[Sized]) -> Callable[[Any, int, Schema], Check]:
    return lambda _, limit, schema: (
        lambda value: not isinstance(value, kind) or len(value) <= limit
    )


def _simple(build: Callable[[Any, Schema], Check]) -> Callable[..., Check]:
    return lambda _, argument, schema: build(argument, schema)


_KEYWORDS: Mapping[str, Callable[[_Compiler, Any, Schema], Check]] = {
    "type": _simple(_type),
    "enum": _simple(_one_of),
    "const": _simple(_constant),
    "required": _simple(_required),
    "dependentRequired": _simple(_required_beside),
    "minLength": _at_least(str),
    "maxLength": _at_most(str),
    "minItems": _at_least(list),
    "minProperties": _at_least(dict),
    "pattern": _simple(_pattern),
    "propertyNames": _Compiler.names,
    "additionalProperties": _Compiler.additional,
    "properties": _Compiler.properties,
    "items": _Compiler.items,
    "contains": _Compiler.contains,
    "if": _Compiler.condition,
    "not": _Compiler.negation,
    "anyOf": _Compiler.any_of,
    "$ref": _Compiler.reference,
}
"""The cheap ones first."""

_BESIDE = {
    "$schema", "$defs", "title", "description",
    "then", "else", "minContains", "maxContains",
}  # fmt: skip
"""Words about the schema, and what another keyword reads."""
