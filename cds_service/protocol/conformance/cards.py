"""Cards, what stands on them, and system actions, judged.

Source: CDS Hooks 3.0.0 "Card Attributes", "Source", "Link", "Suggestion", "Action",
"System Action"; cds-resp-1 to 5 and 7.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ..formats import parse_uuid
from .violations import (
    Violation,
    coding,
    enum_member,
    flag_member,
    list_member,
    must,
    note,
    others,
    should,
    text_member,
    url_member,
)

LONGEST_SUMMARY = 139
INDICATORS = ("info", "warning", "critical")
_CARD = frozenset(
    "uuid summary detail indicator source suggestions selectionBehavior "
    "overrideReasons links".split()
)
_TELLING = 4
"""Characters of an id that is not found in a URL by chance."""
_SOURCE = frozenset(("label", "url", "icon", "topic"))
_LINK = frozenset(("label", "url", "type", "appContext", "autolaunchable"))
_TAG = re.compile(r"<(?:[a-zA-Z][^<>]*|/[a-zA-Z][^<>]*)>")
_CODE = re.compile(r"(`+)[\s\S]*?\1")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not stand in a URL."""

    patient_id: str = ""
    token: str = ""


def judge_cards(cards: list[Any], secrets: Secrets) -> Iterator[Violation]:
    """Yield what is wrong with each card, and with two that are named alike."""
    names: set[str] = set()
    for place, card in enumerate(cards):
        path = f"$.cards[{place}]"
        if not isinstance(card, dict):
            yield must("R-1", path, "must be an object.")
            continue
        yield from _card(card, path, secrets)
        uuid = card.get("uuid")
        if isinstance(uuid, str) and uuid:
            if uuid.lower() in names:
                yield must("C-1", f"{path}.uuid", "names another card as well.")
            names.add(uuid.lower())


def _card(card: dict[str, Any], path: str, secrets: Secrets) -> Iterator[Violation]:
    yield from _uuid(card, path)
    yield from _summary(card, path)
    yield from _detail(card, path)
    yield from enum_member("C-4", card, "indicator", path, INDICATORS)
    yield from _source(card, path)
    yield from judge_suggestions(card, path)
    for found in list_member("C-23", card, "overrideReasons", path):
        if isinstance(found, Violation):
            yield found
        else:
            yield from coding("C-23", found[1], found[0], display=True)
    for found in list_member("C-25", card, "links", path):
        if isinstance(found, Violation):
            yield found
        else:
            yield from _link(found[1], found[0], secrets)
    yield from others(card, _CARD, path)


def _uuid(card: dict[str, Any], path: str) -> Iterator[Violation]:
    yield from text_member("C-1", card, "uuid", path)
    uuid = card.get("uuid")
    if "uuid" not in card:
        yield note("C-1", f"{path}.uuid", "is missing: no feedback can name this card.")
    elif isinstance(uuid, str) and uuid and parse_uuid(uuid) is None:
        yield note("C-1", f"{path}.uuid", "is no UUID.")


def _summary(card: dict[str, Any], path: str) -> Iterator[Violation]:
    yield from text_member("C-2", card, "summary", path, required=True)
    summary = card.get("summary")
    if not isinstance(summary, str):
        return
    where = f"{path}.summary"
    if len(summary) > LONGEST_SUMMARY:
        text = f"has {len(summary)} characters; fewer than 140 are allowed."
        yield must("C-2", where, text)
    if len(summary.splitlines()) > 1:
        yield should("C-2", where, "has several lines, and is to be one sentence.")


def _detail(card: dict[str, Any], path: str) -> Iterator[Violation]:
    yield from text_member("C-3", card, "detail", path)
    detail = card.get("detail")
    if isinstance(detail, str) and _TAG.search(_CODE.sub("", detail)):
        text = "holds HTML, which a client shows as text, drops or runs."
        yield note("C-3", f"{path}.detail", text)


def _source(card: dict[str, Any], path: str) -> Iterator[Violation]:
    source, where = card.get("source"), f"{path}.source"
    if "source" not in card:
        yield must("C-5", where, "is required.")
        return
    if not isinstance(source, dict):
        if source is not None:
            yield must("C-5", where, "must be an object with a label.")
        return
    yield from text_member("C-5", source, "label", where, required=True)
    yield from url_member("C-6", source, "url", where)
    yield from url_member("C-7", source, "icon", where)
    if source.get("topic") is not None:
        yield from coding("C-8", source["topic"], f"{where}.topic")
    yield from others(source, _SOURCE, where)


def _link(link: Any, path: str, secrets: Secrets) -> Iterator[Violation]:
    if not isinstance(link, dict):
        yield must("C-25", path, "must be an object.")
        return
    yield from text_member("C-25", link, "label", path, required=True)
    yield from url_member("C-25", link, "url", path, required=True)
    yield from enum_member("C-25", link, "type", path, ("absolute", "smart"))
    yield from _app(link, path)
    yield from flag_member("C-28", link, "autolaunchable", path)
    url = link.get("url")
    if isinstance(url, str):
        yield from _told_in(url, f"{path}.url", secrets)
    yield from others(link, _LINK, path)


def _app(link: dict[str, Any], path: str) -> Iterator[Violation]:
    context, url = link.get("appContext"), link.get("url")
    if context is not None and not isinstance(context, str):
        text = "must be a string; JSON in it is escaped."
        yield must("C-26", f"{path}.appContext", text)
    if context is not None and link.get("type") != "smart":
        yield must("C-26", f"{path}.appContext", "belongs to links of type smart only.")
    if link.get("type") == "smart" and isinstance(url, str):
        if re.search(r"[?&](?:iss|launch)=", url):
            text = "has iss or launch, which the client adds."
            yield note("C-27", f"{path}.url", text)


def _told_in(url: str, path: str, secrets: Secrets) -> Iterator[Violation]:
    if len(secrets.token) > 7 and secrets.token in unquote(url):
        yield should("C-29", path, "holds the access token.")
    elif len(secrets.patient_id) >= _TELLING and re.search(
        rf"(?<![\w-]){re.escape(secrets.patient_id)}(?![\w-])", unquote(url)
    ):
        yield note("C-29", path, "holds the patient's id.")


# Suggestions, actions and system actions

_SUGGESTION = frozenset(
    ("label", "uuid", "isRecommended", "actions", "actionSelectionBehavior")
)
_ACTION = frozenset(("type", "description", "resource", "resourceId"))
_REFERENCE = re.compile(r"[A-Z][A-Za-z]*/[^/?#%&\s]+")


def judge_suggestions(card: dict[str, Any], path: str) -> Iterator[Violation]:
    """Yield what is wrong with a card's suggestions, and how they may be chosen."""
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
    """Yield what is wrong with actions; each of a suggestion is *described*."""
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
