"""Oura, version 2: what is asked of its API. Pure.

Documents of a day are asked for by their dates, the end of which some collections leave
out: so one day more is asked for, and what comes of it is taken like all else.

It notifies of all wearers of an app, asked once by the app itself for each collection
and for what is created, updated and deleted. Before it begins it asks the URL for the
secret that was agreed. A subscription ends on a day that it tells, unless it is
renewed. Of the pulse it has none.

Source: cloud.ouraring.com/v2/docs, "Authentication", "Daily Activity Routes" and those
beside it; "Error Handling" (5,000 requests in five minutes); "Webhooks", "Webhook
Subscription Routes".
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ...http.pacing import TEMPORARY
from .records import (
    Answered,
    Call,
    CivilDays,
    DataKind,
    Done,
    StandingOrder,
    Subscribing,
    Vendor,
    VendorFault,
    WearerIdentity,
)

NAME = "oura"
PERSONAL = "personal"
"""The scope by which it is known who the wearer is."""
STAGES = ("time-asleep", "light-sleep", "deep-sleep", "rem-sleep")
SLEEP = (
    *STAGES,
    *("heart-rate", "heart-rate-variability-rmssd", "respiratory-rate"),
)
COLLECTIONS = {
    "daily-activity": "daily_activity",
    "sleep": "sleep",
    "daily-spo2": "daily_spo2",
}
"""By kind of data, what it notifies of."""
EVENTS = ("create", "update", "delete")
SUBSCRIPTION = "/v2/webhook/subscription"
YEARS = 2000, 2200
"""In which a subscription may end."""
Query = dict[str, str]
_BASE = "/v2/usercollection/"


def _kinds() -> Iterator[DataKind]:
    steps = ("steps", "active-energy")
    activity = _kind("daily_activity", "daily", steps, _by_dates)
    yield replace(activity, sole=steps, whole=True)
    yield replace(_kind("sleep", "daily", SLEEP, _by_dates), sole=STAGES)
    saturation = ("oxygen-saturation",)
    spo2 = _kind("daily_spo2", "spo2", saturation, _by_dates)
    yield replace(spo2, sole=saturation, whole=True)
    yield _kind("heartrate", "heartrate", ("heart-rate",), _by_times)


def _kind(
    collection: str,
    scope: str,
    metrics: tuple[str, ...],
    by: Callable[[CivilDays], Query],
) -> DataKind:
    def ask(days: CivilDays) -> Call:
        return Call(f"{_BASE}{collection}", by(days))

    name = "pulse" if collection == "heartrate" else collection.replace("_", "-")
    return DataKind(name, (scope, PERSONAL), metrics, NAME, ask, _read, most_days=7)


def _read(body: Any, days: CivilDays, call: Call) -> Answered:
    token = body.get("next_token") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        return Answered(body)
    return Answered(body, Call(call.path, {**call.query, "next_token": token}))


def _by_dates(days: CivilDays) -> Query:
    after = days.last + timedelta(days=1)
    return {"start_date": days.first.isoformat(), "end_date": after.isoformat()}


def _by_times(days: CivilDays) -> Query:
    start, end = days.start.isoformat(), days.end.isoformat()
    return {"start_datetime": start, "end_datetime": end}


def _user(body: Any) -> str:
    user = body.get("id") if isinstance(body, dict) else None
    return user if isinstance(user, str) else ""


def _standing(status: int, body: Any) -> tuple[StandingOrder, ...] | VendorFault:
    fault = _fault(status)
    if fault is not None:
        return fault
    if not isinstance(body, list):
        return VendorFault("refused", "an answer without subscriptions")
    return tuple(filter(None, map(_one, body)))


def _one(told: Any) -> StandingOrder | None:
    if not isinstance(told, dict):
        return None
    names = ("id", "callback_url", "event_type", "data_type")
    id, callback, event, collection = (told.get(each) for each in names)
    if not (isinstance(id, str) and id and isinstance(callback, str)):
        return None
    return StandingOrder(f"{collection} {event}", callback, _end(told), id)


def _end(told: dict[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(told.get("expiration_time")))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if YEARS[0] <= at.year < YEARS[1] else None


def _fault(status: int) -> VendorFault | None:
    if status in TEMPORARY:
        return VendorFault("busy", f"HTTP {status}")
    if status in (401, 403):
        why = f"HTTP {status}: it does not accept the app's id and secret"
        return VendorFault("refused", why)
    return None if 200 <= status < 300 else VendorFault("refused", f"HTTP {status}")


def _judge(status: int, body: Any) -> Done | VendorFault:
    if status == 409:
        return Done("already")
    if status == 404:
        return Done("gone")
    fault = _fault(status)
    if fault is None:
        return Done("done", standing=_one(body))
    return Done("refused", fault.why) if fault.kind == "refused" else fault


def _begin(topic: str, callback: str, secret: str) -> Call:
    collection, _, event = topic.partition(" ")
    told = {"callback_url": callback, "verification_token": secret}
    asked = {**told, "event_type": event, "data_type": collection}
    return Call(SUBSCRIPTION, json=asked)


def _renew(held: StandingOrder, secret: str) -> Call:
    return Call(f"{SUBSCRIPTION}/renew/{quote(held.id, safe='')}", method="PUT")


def _close(held: StandingOrder) -> Call:
    return Call(f"{SUBSCRIPTION}/{quote(held.id, safe='')}", method="DELETE")


OURA = Vendor(
    name=NAME,
    title="Oura",
    authorize_url="https://cloud.ouraring.com/oauth/authorize",
    token_url="https://api.ouraring.com/oauth/token",  # nosec B106 # an address
    api="https://api.ouraring.com",
    kinds=tuple(_kinds()),
    identity=WearerIdentity(Call(f"{_BASE}personal_info"), _user),
    per_minute=300,
    note="An app that Oura has not approved may have ten users.",
    subscribing=Subscribing(
        topics={
            kind: tuple(f"{collection} {event}" for event in EVENTS)
            for kind, collection in COLLECTIONS.items()
        },
        of_app=True,
        secret_in_url=False,
        list=Call(SUBSCRIPTION),
        read=_standing,
        begin=_begin,
        renew=_renew,
        end=_close,
        judge=_judge,
        headers=lambda id, secret: {"x-client-id": id, "x-client-secret": secret},
    ),
)
