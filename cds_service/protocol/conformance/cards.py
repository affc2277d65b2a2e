"""Cards and their links, judged.

Source: CDS Hooks 3.0.0 "Card Attributes", "Source", "Link"; cds-resp-3, cds-resp-4.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ..formats import parse_uuid
from .actions import judge_suggestions
from .members import (
    coding,
    enum_member,
    flag_member,
    list_member,
    others,
    text_member,
    url_member,
)
from .violations import Violation, must, note, should

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
    """Every card, and that no two are named alike."""
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
