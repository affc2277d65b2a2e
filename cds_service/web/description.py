"""The interface, described for programs: ``/openapi.json``."""

from flask import Blueprint, Response

from .. import __version__
from ..decision import World
from ..protocol.openapi import build_openapi
from .json import render_json


def build_description(world: World) -> Blueprint:
    """The URL that describes all others."""
    description = Blueprint("description", __name__)

    @description.get("/openapi.json")
    def openapi() -> Response:
        services = (each.service for each in world.rulebook.services.values())
        url = world.config.public_url
        document = build_openapi(services, __version__, url)
        return Response(render_json(document), mimetype="application/json")

    return description
