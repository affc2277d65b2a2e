"""Where wearers come back to from vendors' clouds: a page that says what came of it."""

from flask import Blueprint, Response, request

from ..config import load_vault
from ..connect.callback import HEADERS, PATH, render_page, status_of
from ..connect.granting import CloudDesk, take_back
from ..decision import World


def build_connect(world: World) -> Blueprint:
    """Return the URL that vendors send wearers to.

    Raises:
        InvalidConfig: if there is no key for their tokens.
    """
    connect = Blueprint("connect", __name__)
    vault = load_vault(world.config)

    @connect.get(PATH, strict_slashes=True)
    def come_back() -> Response:
        clouds = world.clients.clouds
        desks = [CloudDesk(each, world.store, vault, world.fhir) for each in clouds]
        done = take_back(desks, request.args.to_dict(), world.clock())
        return Response(render_page(done), status_of(done), HEADERS)

    return connect
