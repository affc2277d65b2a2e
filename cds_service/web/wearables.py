"""Deliveries of wearable alerts over HTTP."""

from flask import Blueprint, Response, request

from ..config import Consent
from ..decision import World
from ..ingestion import PATH, accept, refusals_audited
from ..protocol.errors import UnsupportedMediaType
from .bodies import read_body
from .json import parse_json, render_json
from .limits import admit
from .notes import note


def build_wearables(world: World) -> Blueprint:
    """The URL that wearable sources call."""
    wearables = Blueprint("wearables", __name__)

    @wearables.post(PATH)
    def alerts() -> Response:
        now = world.clock()
        with refusals_audited(world.store, now):
            if request.mimetype != "application/json":
                raise UnsupportedMediaType("The Content-Type must be application/json.")
            raw = read_body(world.config.alert_body_limit)
        reply = accept(
            raw,
            dict(request.headers),
            webhooks=world.clients.webhooks,
            store=world.store,
            alert_types=world.rulebook.alert_types,
            consent_assumed=world.config.wearables_consent is Consent.ASSUMED,
            parse_json=lambda body: parse_json(body, world.config.value_limit),
            admit=lambda source: admit("source", source),
            now=now,
        )
        note(accepted=reply.body.get("accepted", 0))
        return Response(
            render_json(reply.body), reply.status, mimetype="application/json"
        )

    return wearables
