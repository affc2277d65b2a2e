"""The orders that a hook's context carries, in whatever shape they came. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from .chart import Source, SourceState
from .rows import Rows, is_resource
from .subjects import Identity

BUNDLES = ("draftOrders", "medications", "orders")
"""Context fields that hold orders in a Bundle."""
RESOURCES = ("medication", "order")
"""Context fields that hold one order, plain or as ``{"resource": …}``."""


def draft_pages(context: Mapping[str, Any]) -> tuple[Any, ...]:
    """The orders of the context, each field as a Bundle where that can be made of it.

    Source: CDS Hooks library: order-select, order-sign, medication-refill,
    medication-verify, medication-prescribe, order-review.
    """
    return tuple(_lots(context))


def read_drafts(context: Mapping[str, Any], identity: Identity) -> Source:
    """The source ``draft_orders`` of a context that carries orders.

    A draft may lack an id, and lacking a subject is the context's patient's.
    """
    pages = draft_pages(context)
    if not any(is_resource(page, "Bundle") for page in pages):
        return Source(
            "draft_orders", SourceState.MISSING, why="wrong shape", origin="context"
        )
    rows = Rows("", identity)
    rows.take_pages(pages)
    return rows.source("draft_orders", "", "context")


def _lots(context: Mapping[str, Any]) -> Iterator[Any]:
    for name in BUNDLES:
        if context.get(name) is not None:
            yield _as_bundle(context[name])
    for name in RESOURCES:
        # Older order-dispatch clients send a reference here, which is no order.
        if isinstance(context.get(name), dict):
            yield _as_bundle(context[name])


def _as_bundle(value: Any) -> Any:
    if isinstance(value, list):
        return _bundle(value)
    if not isinstance(value, dict) or is_resource(value, "Bundle"):
        return value
    entries = value.get("entry")
    return _bundle(entries if isinstance(entries, list) else [value])


def _bundle(values: list[Any]) -> dict[str, Any]:
    entries = [
        (
            value
            if isinstance(value, dict) and "resource" in value
            else {"resource": value}
        )
        for value in values
    ]
    return {"resourceType": "Bundle", "entry": entries}
