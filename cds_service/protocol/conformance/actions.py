"""Suggestions, actions and system actions, judged.

Source: CDS Hooks 3.0.0 "Suggestion", "Action", "System Action"; cds-resp-1, 2, 5, 7.
"""

import re
from collections.abc import Iterator
from typing import Any

from .members import enum_member, flag_member, list_member, others, text_member
from .violations import Violation, must, note, should

_SUGGESTION = frozenset(
    ("label", "uuid", "isRecommended", "actions", "actionSelectionBehavior")
)
_ACTION = frozenset(("type", "description", "resource", "resourceId"))
_REFERENCE = re.compile(r"[A-Z][A-Za-z]*/[^/?#%&\s]+")


def judge_suggestions(card: dict[str, Any], path: str) -> Iterator[Violation]:
    """The suggestions of a card, and how they may be chosen."""
    suggestions = []
    for found in list_member("C-9", card, "suggestions", path):
        if isinstance(found, Violation):
            yield found
            continue
        where, each = found
        if not isinstance(each, dict):
            yield must("C-12", where, "must be an object.")
            continue
        suggestions.append(each)
        yield from _suggestion(each, where)
    yield from _selection(card, suggestions, path)


def _selection(
    card: dict[str, Any], suggestions: list[Any], path: str
) -> Iterator[Violation]:
    behavior = card.get("selectionBehavior")
    if suggestions and "selectionBehavior" not in card:
        text = "is required beside suggestions: at-most-one or any."
        yield must("C-9", f"{path}.selectionBehavior", text)
    elif behavior is not None:
        allowed = ("at-most-one", "any")
        yield from enum_member("C-10", card, "selectionBehavior", path, allowed)
        if not suggestions:
            where = f"{path}.selectionBehavior"
            yield note("C-10", where, "has nothing to choose from.")
    recommended = sum(each.get("isRecommended") is True for each in suggestions)
    if recommended > 1 and behavior == "at-most-one":
        text = f"{recommended} are recommended, and at most one can be chosen."
        yield must("C-11", f"{path}.suggestions", text)


def _suggestion(suggestion: dict[str, Any], path: str) -> Iterator[Violation]:
    yield from text_member("C-12", suggestion, "label", path, required=True)
    yield from text_member("C-13", suggestion, "uuid", path)
    if "uuid" not in suggestion:
        yield note(
            "C-13", f"{path}.uuid", "is missing: no client can tell it was taken."
        )
    yield from flag_member("C-11", suggestion, "isRecommended", path)
    if "actionSelectionBehavior" in suggestion:
        text = "is sent to a client that is not known to support it."
        yield must("C-16", f"{path}.actionSelectionBehavior", text)
    yield from judge_actions(suggestion, "actions", path, described=True)
    yield from others(suggestion, _SUGGESTION, path)


def judge_actions(
    holder: dict[str, Any], name: str, path: str, described: bool
) -> Iterator[Violation]:
    """An array of actions; of a suggestion each is *described*."""
    id = "C-14" if described else "R-3"
    touched: set[str] = set()
    for found in list_member(id, holder, name, path):
        if isinstance(found, Violation):
            yield found
            continue
        where, each = found
        if not isinstance(each, dict):
            yield must("C-17", where, "must be an object.")
            continue
        yield from _action(each, where, described)
        target = _target(each)
        if target and target in touched:
            text = "changes what another action beside it changes."
            yield should("C-15", where, text)
        touched.add(target)


def _action(action: dict[str, Any], path: str, described: bool) -> Iterator[Violation]:
    kinds = ("create", "update", "delete")
    yield from enum_member("C-17", action, "type", path, kinds)
    yield from text_member("C-18", action, "description", path, required=described)
    if action.get("type") == "delete":
        yield from _delete(action, path)
    elif action.get("type") in kinds:
        yield from _change(action, path)
    yield from others(action, _ACTION, path)


def _delete(action: dict[str, Any], path: str) -> Iterator[Violation]:
    target, resource = action.get("resourceId"), action.get("resource")
    if target is None and resource is None:
        yield should("C-21", f"{path}.resourceId", "does not say what to delete.")
    elif target is None and isinstance(resource, str):
        text = "is deprecated for deletes; resourceId took its place."
        yield should("C-22", f"{path}.resource", text)
    elif resource is not None:
        text = "stands beside a delete, which names its resourceId alone."
        yield should("C-21", f"{path}.resource", text)
    if target is not None and not _is_reference(target):
        yield should("C-21", f"{path}.resourceId", "is not written Type/id.")


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def _change(action: dict[str, Any], path: str) -> Iterator[Violation]:
    update = action["type"] == "update"
    id, where = "C-20" if update else "C-19", f"{path}.resource"
    resource = action.get("resource")
    if resource is None:
        yield must(id, where, f"is required by the type {action['type']}.")
    elif not isinstance(resource, dict):
        yield must("J-2", where, "must be a FHIR resource as JSON, no text.")
    elif not isinstance(resource.get("resourceType"), str):
        yield must("J-2", f"{where}.resourceType", "is required of a FHIR resource.")
    elif update and not resource.get("id"):
        yield should(
            "C-20", f"{where}.id", "is missing: an update says what it changes."
        )


def _target(action: dict[str, Any]) -> str:
    resource = action.get("resource")
    if isinstance(action.get("resourceId"), str):
        return str(action["resourceId"])
    if action.get("type") == "update" and isinstance(resource, dict):
        if resource.get("id"):
            return f"{resource.get('resourceType')}/{resource['id']}"
    return resource if isinstance(resource, str) else ""
