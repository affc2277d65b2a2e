"""The context of a hook, read against the hook's definition."""

from collections.abc import Callable, Mapping
from typing import Any

from .errors import Remarks
from .formats import is_id, is_reference
from .hooks import ContextField, Hook, Kind


def parse_context(value: Any, hook: Hook, remarks: Remarks) -> dict[str, Any]:
    """The context with its fields named and written as the hook defines them.

    A field without a value is left out; a field unknown to the hook stays as sent.

    Source: CDS Hooks 3.0.0 "Calling a CDS Service"; the hook's table "Context".
    """
    if not isinstance(value, dict):
        missing = value is None
        remarks.wrong("$.context", "required" if missing else "must be an object")
        return {}
    context = dict(value)
    for field in hook.fields:
        _settle(field, context, hook, remarks)
    return context


def _settle(
    field: ContextField, context: dict[str, Any], hook: Hook, remarks: Remarks
) -> None:
    """Replaces one field of *context*, under any spelling, by what it means."""
    spelling = next(
        (each for each in (field.name, *field.also) if _is_given(context.get(each))),
        field.name,
    )
    path = f"$.context.{spelling}"
    value = context.pop(spelling, None)
    if not _is_given(value):
        if field in hook.required:
            _miss(field, path, hook, remarks)
        return
    if spelling != field.name:
        remarks.deviates(path, f"{field.name} is the name in {hook.name}")
    context[field.name] = _READERS[field.kind](value, field, path, remarks)


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _miss(field: ContextField, path: str, hook: Hook, remarks: Remarks) -> None:
    note = remarks.deviates if field.forgiven else remarks.wrong
    note(path, f"required by {hook.name}")


def parse_id(value: Any, resource_type: str, path: str, remarks: Remarks) -> str | None:
    """The bare id of a resource; ``Type/id`` is forgiven."""
    if not isinstance(value, str):
        remarks.wrong(path, "must be a string")
        return None
    bare = value.removeprefix(f"{resource_type}/")
    if not is_id(bare):
        remarks.wrong(path, "must be a FHIR id, without characters that break a URL")
        return None
    if bare != value:
        remarks.deviates(path, f"written as {resource_type}/id; taken as the id alone")
    return bare


def _id(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    return parse_id(value, field.resource_type, path, remarks)


def _reference(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if not isinstance(value, str) or not is_reference(value):
        remarks.wrong(path, "must be Type/id")
    return value


def _references(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if isinstance(value, str):
        remarks.deviates(path, "one reference; taken as an array of one")
        _reference(value, field, path, remarks)
        return [value]
    if not isinstance(value, list):
        remarks.wrong(path, "must be an array of Type/id")
        return value
    if not value:
        remarks.deviates(path, "an empty array")
    wrong = (
        index
        for index, each in enumerate(value)
        if not isinstance(each, str) or not is_reference(each)
    )
    remarks.wrong_items(path, wrong, "must be Type/id")
    return value


def _resource(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if not isinstance(value, dict):
        remarks.wrong(path, "must be an object")
        return value
    inner = value.get("resource")
    if "resourceType" not in value and isinstance(inner, dict):
        remarks.deviates(path, "wrapped in {resource}; taken as the resource")
        return inner
    if not value:
        remarks.deviates(path, "an empty object")
    return value


def _resources(value: Any, field: ContextField, path: str, remarks: Remarks) -> Any:
    if isinstance(value, dict):
        remarks.deviates(path, "one resource; taken as an array of one")
        return [value]
    if not isinstance(value, list):
        remarks.wrong(path, "must be an array of objects")
        return value
    wrong = (index for index, each in enumerate(value) if not isinstance(each, dict))
    remarks.wrong_items(path, wrong, "must be an object")
    return value


_READERS: Mapping[Kind, Callable[[Any, ContextField, str, Remarks], Any]] = {
    Kind.ID: _id,
    Kind.REFERENCE: _reference,
    Kind.REFERENCES: _references,
    Kind.RESOURCE: _resource,
    Kind.RESOURCES: _resources,
}
