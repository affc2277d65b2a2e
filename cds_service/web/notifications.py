"""Notifications of vendors' clouds over HTTP: each is answered as its vendor wants."""

from functools import partial

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from ..config import Cloud
from ..connect.notifying import PATH, Notification, NotifyingDesk, answer_notice
from ..decision import World
from ..protocol.errors import Unauthenticated
from ..trust import Keyring
from ..trust.documents import fetcher
from ..trust.keyring import Log, keep_quiet
from ..trust.tink import read_tink_document
from .json import MEDIA_TYPES, parse_json, read_body, render_json
from .limits import admit
from .metrics import count_notifications
from .refusals import Refusals

READ = (*MEDIA_TYPES, "application/x-www-form-urlencoded")
MOST_VALUES = 20_000
"""Of 99 notifications, which is what Google sends at once."""


def build_notifications(
    world: World, refusals: Refusals, log: Log = keep_quiet
) -> Blueprint:
    """Return the URLs that vendors notify."""
    notifications = Blueprint("notifications", __name__)
    desk = NotifyingDesk(
        world.store,
        Keyring(fetcher(world.fhir, read=read_tink_document), log),
        partial(parse_json, most_values=MOST_VALUES),
        partial(admit, "cloud"),
    )

    def notify(cloud: str, url_secret: str = "") -> Response:  # nosec B107 # none
        known = [each for each in world.clients.clouds if each.id == cloud]
        if not known:
            raise NotFound()
        try:
            return _answered(known[0], url_secret, world, desk)
        except Unauthenticated as error:
            route = request.url_rule.rule if request.url_rule else ""
            path = PATH.replace("<cloud>", cloud)
            refusals.note(error, request.remote_addr or "", route, path)
            raise

    for path in (PATH, f"{PATH}/<url_secret>"):
        notifications.add_url_rule(path, "notify", notify, methods=["GET", "POST"])
    return notifications


def _answered(
    cloud: Cloud, url_secret: str, world: World, desk: NotifyingDesk
) -> Response:
    asks = request.method != "POST"
    notice = Notification(
        {name.lower(): value for name, value in request.headers},
        b"" if asks else read_body(world.config.alert_body_limit, READ),
        world.clock(),
        request.args.to_dict(),
        url_secret,
        asks,
    )
    reply = answer_notice(notice, cloud, desk)
    if reply is None:
        raise NotFound()
    count_notifications(cloud.id, reply.outcomes)
    if reply.body is None:
        return Response(status=reply.status)
    body = render_json(reply.body)
    return Response(body, reply.status, mimetype="application/json")
