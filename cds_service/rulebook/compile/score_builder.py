"""The scores of a rule file: points, and the conditions that earn them."""

from collections.abc import Mapping
from typing import Any

from ..engine.facts import Criterion, Fact, Item
from ..language.document import Path
from .when_builder import WhenBuilder


def build_scores(whens: WhenBuilder, path: Path, reader: int) -> dict[str, Fact]:
    """Every score among the facts at *path* that could be built.

    What an item asks is asked of the other facts of the rule, which *whens* knows.
    *reader* stands for no rows.
    """
    written: Mapping[str, Any] = whens.document.value(path) or {}
    built: dict[str, Fact] = {}
    missing = [name for name in written if name not in whens.facts]
    if any("score" not in written[name] for name in missing):
        # What is wrong with a fact has been told; items that speak of it add nothing.
        return built
    for name, body in written.items():
        if "score" in body:
            items = _items(whens, (*path, name, "score", "items"))
            if items is not None:
                title = body["score"]["title"]
                built[name] = Fact(
                    name, "score", (), reader, (), title=title, items=items
                )
    return built


def _items(whens: WhenBuilder, path: Path) -> tuple[Item, ...] | None:
    items = []
    written = whens.document.value(path)
    for index, body in enumerate(written):
        where = (*path, index)
        asked = whens.build((*where, "when"))
        if asked is not None:
            text = f"{body['points']:+g} {body['label']}"
            place = whens.document.position(where)
            criterion = Criterion(
                text, place, asked.predicate, (asked,), operator="item"
            )
            items.append(Item(body["points"], body["label"], criterion))
    return tuple(items) if len(items) == len(written) else None
