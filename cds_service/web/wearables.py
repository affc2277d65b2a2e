"""Deliveries of wearable data and of consents to it over HTTP."""

from functools import partial

from flask import Blueprint, Response, request

from ..decision import World
from ..ingestion import (
    ALERTS,
    CONSENTS,
    Delivery,
    Format,
    Ingestion,
    accept,
    refusals_audited,
)
from ..protocol.errors import UnsupportedMediaType
from .json import parse_json, read_body, render_json
from .limits import admit
from .metrics import count_halves
from .notes import note

PLAIN = {"application/json"}
FHIR = {"application/json", "application/fhir+json"}


def build_wearables(world: World) -> Blueprint:
    """Return the URLs that wearable sources call."""
    wearables = Blueprint("wearables", __name__)
    ingestion = Ingestion(
        world.store,
        world.clients.webhooks,
        world.consent_gate,
        parse_json=lambda raw: parse_json(
            raw, world.config.value_limit, partial(count_halves, "delivery")
        ),
        admit=lambda source: admit("source", source),
    )

    @wearables.post(ALERTS.path)
    def deliver_alerts() -> Response:
        return deliver(ALERTS, PLAIN)

    @wearables.post(CONSENTS.path)
    def deliver_consents() -> Response:
        return deliver(CONSENTS, FHIR)

    def deliver(format: Format, media_types: set[str]) -> Response:
        now = world.clock()
        with refusals_audited(world.store, format, now):
            if request.mimetype not in media_types:
                raise UnsupportedMediaType("The Content-Type must be application/json.")
            raw = read_body(world.config.alert_body_limit)
        answer = accept(Delivery(format, dict(request.headers), raw, now), ingestion)
        note(accepted=answer.body.get("accepted", 0))
        return Response(
            render_json(answer.body), answer.status, mimetype="application/json"
        )

    return wearables
