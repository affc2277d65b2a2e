"""A vendor's notification: proved, read, and written down as what is to be fetched.

Whoever notifies is believed as far as the vendor proves itself: Google signs what it
sends and knows a secret, Oura signs, Withings knows a secret of the URL. Nothing that a
notification says is stored but whose data are to be fetched, and only of wearers whose
permission there is; the answer comes once that is committed.

Source: developers.google.com/health/webhooks; developer.withings.com/developer-guide
v3, "Notification"; cloud.ouraring.com/v2/docs, "Webhooks".
"""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from ..config import Cloud
from ..config.clouds import Notifications
from ..http.addresses import ListedServer
from ..protocol.errors import InvalidRequest, Unauthenticated, Unavailable
from ..store.grants.records import NamedInterval
from ..store.records import StoreError
from ..store.store import Store
from ..trust import Keyring, KeyServer
from ..trust.tink import is_signed, parse_signature
from ..wearables.clock import find_zone
from .vendors.pings import Ping, PingReader

PATH = "/wearables/v1/notifications/<cloud>"
"""Where a vendor notifies; Withings with a secret after it."""
SIGNATURES = ("google-health-api-signature", "x-healthapi-signature")
"""Headers in which Google's signature stands; its pages name the one and the other."""
MOST_FIELDS = 50
LONGEST_CHALLENGE = 1_000
UNKNOWN, WANTED, AGAIN = "unknown-wearer", "wanted", "wanted-before"


@dataclass(frozen=True, slots=True)
class Notification:
    """One request of a vendor, as it came."""

    headers: Mapping[str, str]
    """With names in lower case."""
    raw: bytes
    at: datetime
    """Aware."""
    query: Mapping[str, str] = field(default_factory=dict)
    url_secret: str = field(default="", repr=False)
    asks: bool = False
    """It is a GET: the vendor sees whether somebody is there."""


@dataclass(frozen=True, slots=True)
class NotificationAnswer:
    """What a notification is answered with."""

    status: int
    body: Mapping[str, Any] | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """What became of what it names; it names nobody."""


@dataclass(frozen=True, slots=True)
class NotifyingDesk:
    """Everything outside the pure core that a notification may touch."""

    store: Store
    keyring: Keyring
    """Of keysets as Tink has them."""
    parse_json: Callable[[bytes], Any]
    """Raises InvalidRequest for what is not JSON."""
    admit: Callable[[str], None] = lambda cloud: None
    """Raises Throttled where a vendor sends too many."""


def answer_notice(
    notice: Notification, cloud: Cloud, desk: NotifyingDesk
) -> NotificationAnswer | None:
    """Return the answer, after what is to be fetched is stored; None where none is due.

    Raises:
        Unauthenticated: if the vendor has not proved itself.
        Throttled: if it sends too many.
        InvalidRequest: if the body cannot be read at all.
        Unavailable: if it could not be stored, or nobody knows the vendor's keys.
    """
    answer, told = ANSWERS.get(cloud.vendor_name), cloud.notifications
    if answer is None or told is None:
        return None
    return answer(notice, cloud, told, desk)


def _google_health(
    notice: Notification, cloud: Cloud, told: Notifications, desk: NotifyingDesk
) -> NotificationAnswer:
    """The secret in Authorization, and the signature over the raw body.

    To see whether the endpoint looks at the secret, Google posts a verification with
    it, which is 201, and one without it, which has to be refused.
    """
    _expect_post(notice)
    given = notice.headers.get("authorization", "")
    accepted = [*told.secrets, *(f"Bearer {each}" for each in told.secrets)]
    _expect_one_of(given, accepted)
    desk.admit(cloud.id)
    body = desk.parse_json(notice.raw)
    if isinstance(body, dict) and body.get("type") == "verification":
        return NotificationAnswer(201)
    _expect_signature(notice, cloud, told, desk)
    ping = _reader(cloud, notice).google_health(body)
    return NotificationAnswer(204, outcomes=_want(ping, cloud, desk, notice.at))


def _expect_signature(
    notice: Notification, cloud: Cloud, told: Notifications, desk: NotifyingDesk
) -> None:
    """Check the signature by the key that it names, be that published or not yet."""
    given = (notice.headers.get(each, "") for each in SIGNATURES)
    signature = parse_signature(next(filter(None, given), ""))
    if signature is None:
        raise Unauthenticated("no signature of the vendor")
    server = KeyServer(ListedServer(told.keys, cloud.reach))
    key, why = desk.keyring.find((server,), None, signature.key_id, notice.at)
    if key is None:
        if not desk.keyring.knows(server, notice.at):
            raise Unavailable("The vendor's keys are not available; send it again.")
        raise Unauthenticated(why)
    if not is_signed(notice.raw, signature.signature, key):
        raise Unauthenticated("the signature is not the vendor's")


def _withings(
    notice: Notification, cloud: Cloud, told: Notifications, desk: NotifyingDesk
) -> NotificationAnswer:
    """A secret in the URL: Withings signs nothing. It asks first who is there."""
    _expect_one_of(notice.url_secret, told.secrets)
    desk.admit(cloud.id)
    if notice.asks:
        return NotificationAnswer(200)
    ping = _reader(cloud, notice).withings(_form(notice.raw))
    return NotificationAnswer(200, outcomes=_want(ping, cloud, desk, notice.at))


def _oura(
    notice: Notification, cloud: Cloud, told: Notifications, desk: NotifyingDesk
) -> NotificationAnswer:
    """An HMAC by the client's secret; a challenge, asked for with the agreed one."""
    if notice.url_secret:
        raise Unauthenticated("this URL has no secret")
    if notice.asks:
        _expect_one_of(notice.query.get("verification_token", ""), told.secrets)
        desk.admit(cloud.id)
        challenge = notice.query.get("challenge", "")[:LONGEST_CHALLENGE]
        return NotificationAnswer(200, {"challenge": challenge})
    stamp = notice.headers.get("x-oura-timestamp", "").encode("utf-8", "replace")
    if not stamp:
        raise Unauthenticated("the signature has no timestamp")
    signed = hmac.new(cloud.client_secret.encode(), stamp + notice.raw, "sha256")
    given = notice.headers.get("x-oura-signature", "").lower()
    _expect_one_of(given, [signed.hexdigest()])
    desk.admit(cloud.id)
    ping = _reader(cloud, notice).oura(desk.parse_json(notice.raw))
    return NotificationAnswer(200, outcomes=_want(ping, cloud, desk, notice.at))


Answer = Callable[
    [Notification, Cloud, Notifications, NotifyingDesk], NotificationAnswer
]
ANSWERS: Mapping[str, Answer] = {
    "google-health": _google_health,
    "withings": _withings,
    "oura": _oura,
}
"""By the name of the vendor."""


def _expect_post(notice: Notification) -> None:
    if notice.asks or notice.url_secret:
        raise Unauthenticated("this vendor posts, with its secret in a header")


def _expect_one_of(given: str, accepted: Collection[str]) -> None:
    """Check what was given, in a time that tells nothing of what would be right."""
    fits = [
        hmac.compare_digest(each.encode(), given.encode("utf-8", "replace"))
        for each in accepted
    ]
    if not given or not any(fits):
        raise Unauthenticated("the vendor's secret or signature does not match")


def _reader(cloud: Cloud, notice: Notification) -> PingReader:
    kinds = [each.name for each in cloud.kinds]
    return PingReader(kinds, find_zone(cloud.time_zone), notice.at)


def _form(raw: bytes) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(raw.decode("ascii"), max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise InvalidRequest("The body must be a form.") from error


def _want(
    ping: Ping, cloud: Cloud, desk: NotifyingDesk, now: datetime
) -> Mapping[str, int]:
    """What became of what is named, once it is committed what is to be fetched."""
    users = {each.user for each in ping.named}
    try:
        known = desk.store.grants.permitting(cloud.tenant, cloud.id, users)
        named = [each for each in ping.named if each.user in known]
        intervals = [
            NamedInterval(each.user, each.kind, each.start, each.end) for each in named
        ]
        new = 0
        if intervals:
            new = desk.store.pulls.name(cloud.tenant, cloud.id, intervals, now)
    except StoreError as error:
        raise Unavailable("It could not be stored; send it again.") from error
    counts = {
        **ping.passed_over,
        UNKNOWN: len(ping.named) - len(named),
        WANTED: new,
        AGAIN: len(named) - new,
    }
    return {name: count for name, count in counts.items() if count}
