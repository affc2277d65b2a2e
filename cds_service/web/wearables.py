"""Deliveries of wearable data and of consents to it over HTTP."""

from functools import partial

from flask import Blueprint, Response, request

from ..decision import World
from ..ingestion import AlertJudge, ConsentJudge, Judge, accept, refusals_audited
from ..protocol.errors import UnsupportedMediaType
from .bodies import read_body
from .health import count_halves
from .json import parse_json, render_json
from .limits import admit
from .notes import note

PLAIN = {"application/json"}
FHIR = {"application/json", "application/fhir+json"}


def build_wearables(world: World) -> Blueprint:
    """The URLs that wearable sources call."""
    wearables = Blueprint("wearables", __name__)
    alerts = AlertJudge(world.store, world.consent_gate)
    consents = ConsentJudge(world.store, world.consent_gate)

    @wearables.post(alerts.path)
    def deliver_alerts() -> Response:
        return deliver(alerts, PLAIN)

    @wearables.post(consents.path)
    def deliver_consents() -> Response:
        return deliver(consents, FHIR)

    def deliver(judge: Judge, media_types: set[str]) -> Response:
        now = world.clock()
        with refusals_audited(world.store, judge.path, now):
            if request.mimetype not in media_types:
                raise UnsupportedMediaType("The Content-Type must be application/json.")
            raw = read_body(world.config.alert_body_limit)
        reply = accept(
            raw,
            dict(request.headers),
            judge,
            webhooks=world.clients.webhooks,
            store=world.store,
            parse_json=lambda body: parse_json(
                body, world.config.value_limit, partial(count_halves, "delivery")
            ),
            admit=lambda source: admit("source", source),
            now=now,
        )
        note(accepted=reply.body.get("accepted", 0))
        return Response(
            render_json(reply.body), reply.status, mimetype="application/json"
        )

    return wearables
