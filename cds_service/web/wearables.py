"""Deliveries of alerts, readings and consents to them over HTTP."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response, request

from ..decision import World
from ..ingestion import (
    ALERTS,
    CONSENTS,
    LINKS,
    SAMPLES,
    SOURCES,
    Delivery,
    Format,
    Ingestion,
    accept,
    greet,
    refusals_audited,
)
from ..store.samples.records import QuarantineLimits
from ..wearables.adapters.registry import FORMATS
from .json import MEDIA_TYPES, parse_json, read_body, render_json
from .limits import admit
from .metrics import count_detected, count_halves, count_readings
from .notes import note

PLAIN = ("application/json",)
FHIR = MEDIA_TYPES


@dataclass(frozen=True, slots=True)
class DeliveryBounds:
    """How large a delivery may be."""

    body: int
    """Bytes."""
    values: int
    """Members and items."""


def build_wearables(world: World) -> Blueprint:
    """Return the URLs that wearable sources call."""
    wearables = Blueprint("wearables", __name__)
    config = world.config
    usual = DeliveryBounds(config.alert_body_limit, config.value_limit)
    large = DeliveryBounds(config.source_body_limit, config.source_value_limit)

    @wearables.post(ALERTS.path)
    def deliver_alerts() -> Response:
        return deliver(world, ALERTS, PLAIN, usual)

    @wearables.post(CONSENTS.path)
    def deliver_consents() -> Response:
        return deliver(world, CONSENTS, FHIR, usual)

    @wearables.post(LINKS.path)
    def deliver_links() -> Response:
        return deliver(world, LINKS, PLAIN, usual)

    @wearables.post(SAMPLES.path)
    def deliver_samples() -> Response:
        return deliver(world, SAMPLES, PLAIN, large)

    for name, format in SOURCES.items():
        known = FORMATS[name]
        view = partial(deliver, world, format, known.media_types, large)
        for below in ("", "/<url_secret>", *known.posted_at):
            wearables.add_url_rule(format.path + below, name, view, methods=["POST"])
        if known.probed_at:
            view = partial(let_in, world, format)
            wearables.add_url_rule(format.path + known.probed_at, f"{name} probe", view)

    return wearables


def deliver(
    world: World,
    format: Format,
    media_types: Collection[str],
    bounds: DeliveryBounds,
    url_secret: str = "",  # nosec B107 # there is none
) -> Response:
    """Return the answer to the delivery that the request is."""
    now = world.clock()
    with refusals_audited(world.store, format, now):
        raw = read_body(bounds.body, media_types)
    delivery = Delivery(format, dict(request.headers), raw, now, url_secret)
    answer = accept(delivery, open_ingestion(world, bounds.values))
    if answer.body is None:
        return Response(status=answer.status)
    note(accepted=answer.body.get("accepted", 0))
    body = render_json(answer.body)
    return Response(body, answer.status, mimetype="application/json")


def let_in(world: World, format: Format) -> Response:
    """Return that the sender may deliver the format."""
    asked = Delivery(format, dict(request.headers), b"", world.clock())
    greet(asked, open_ingestion(world, world.config.source_value_limit))
    return Response(render_json({"status": "ok"}), mimetype="application/json")


def open_ingestion(world: World, values: int) -> Ingestion:
    """Return what a delivery with at most so many *values* may touch."""
    return Ingestion(
        world.store,
        world.clients.webhooks,
        world.consent_gate,
        parse_json=lambda raw: parse_json(
            raw, values, partial(count_halves, "delivery")
        ),
        admit=lambda source: admit("source", source),
        quarantine=QuarantineLimits(
            world.config.quarantine_wearer_limit, world.config.quarantine_limit
        ),
        count=count_readings,
        detection_of=world.detection,
        count_detected=count_detected,
    )
