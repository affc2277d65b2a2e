"""Withings: what is asked of its API, and how its answers say that they are none. Pure.

Every answer has HTTP's 200 and a ``status`` of its own. Tokens come as ``body`` of one,
and are asked for with an ``action`` beside what OAuth wants. An end that is asked for
is taken for the last moment that is wanted. Of minutes it gives the first 24 hours of
what it is asked for, so that a day on which clocks are put back is asked for twice.

It notifies of a wearer for whom it was asked to with the wearer's token, by a number of
what changed and a URL. It tells no end of that, yet ends it where the URL fails for
some days. Asked for a second time it says that it is done, or by some accounts 295.

Source: developer.withings.com/api-reference, "OAuth2 - Get your access token",
"Response status", "Notify - Subscribe", "Notify - List", "Notify - Revoke";
developer-guide v3, "Get access", "Notification overview", "Subscribe to notifications".
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ...wearables.samples import microseconds
from .pings import APPLIS
from .records import (
    Answered,
    Call,
    CivilDays,
    DataKind,
    Done,
    StandingOrder,
    Subscribing,
    Tokens,
    Vendor,
    VendorFault,
)

NAME = "withings"
MEASURES = "1,9,10,11,54,71"
"""Types of ``getmeas``: those of which ``rules/metrics.yaml`` has a metric."""
READINGS = "1"
"""As a ``category``: what was measured, and not what the user aims at."""
NO_TOKEN = frozenset({100, 101, 102, 200, 214, 277, 401, 2553, 2554, 2555})
BUSY = frozenset({522, 524, 601, 2556})
TOO_MANY = 601
THERE_IS_ONE = 295
THERE_IS_NONE = frozenset({286, 294})
LONGEST_URL = 255
"""Characters."""
WAIT = timedelta(minutes=1)
"""The time in which so many requests are too many."""
DAY = 86_400
"""Seconds."""
SLEEP = ("time-asleep", "light-sleep", "deep-sleep", "rem-sleep")
Fields = dict[str, str]


def _kinds() -> Iterator[DataKind]:
    metrics = ("user.metrics",)
    activity = ("user.activity",)
    measured = (
        *("body-weight", "systolic-blood-pressure", "diastolic-blood-pressure"),
        *("heart-rate", "oxygen-saturation", "body-temperature"),
    )
    asked = {"meastypes": MEASURES, "category": READINGS}
    yield DataKind(
        *("measures", metrics, measured, NAME),
        _asks("/measure", "getmeas", _by_seconds, asked),
        *(_read_pages, 30),
        sole=(*measured[:3], "body-temperature"),
    )
    days = {"data_fields": "steps,calories,hr_min,hr_max"}
    yield DataKind(
        *("activity", activity, ("steps", "active-energy", "heart-rate"), NAME),
        _asks("/v2/measure", "getactivity", _by_dates, days),
        *(_read_pages, 30),
        whole=True,
    )
    minutes = {"data_fields": "steps,calories,heart_rate,spo2_auto,rmssd"}
    yield DataKind(
        *("within-a-day", activity, ("steps", "heart-rate", "oxygen-saturation")),
        NAME,
        _asks("/v2/measure", "getintradayactivity", _by_seconds, minutes),
        _read_day,
    )
    nights = {
        "data_fields": "total_sleep_time,deepsleepduration,lightsleepduration,"
        "remsleepduration,hr_min,hr_max,rr_average,rr_min,rr_max"
    }
    yield DataKind(
        *("sleep", activity, SLEEP, NAME),
        _asks("/v2/sleep", "getsummary", _by_dates, nights),
        *(_read_pages, 30),
        sole=SLEEP,
    )
    yield DataKind(
        *("recordings-of-the-heart", activity, ("heart-rate",), NAME),
        _asks("/v2/heart", "list", _by_seconds, {}),
        *(_read_pages, 30),
    )


def _asks(
    path: str, action: str, by: Callable[[CivilDays], Fields], more: Fields
) -> Callable[[CivilDays], Call]:
    def ask(days: CivilDays) -> Call:
        return Call(path, form={"action": action, **by(days), **more})

    return ask


def _by_seconds(days: CivilDays) -> Fields:
    return {
        "startdate": str(_seconds(days.start)),
        "enddate": str(_seconds(days.end) - 1),
    }


def _by_dates(days: CivilDays) -> Fields:
    first, last = days.first.isoformat(), days.last.isoformat()
    return {"startdateymd": first, "enddateymd": last}


def _fault(body: Any) -> VendorFault | None:
    """What is wrong with an answer, by its status."""
    status = body.get("status") if isinstance(body, dict) else None
    if not isinstance(status, int):
        return VendorFault("refused", "an answer without a status")
    if status in NO_TOKEN:
        return VendorFault("token", f"status {status}")
    if status in BUSY:
        wait = WAIT if status == TOO_MANY else None
        return VendorFault("busy", f"status {status}", wait)
    return VendorFault("refused", f"status {status}") if status else None


def _read_pages(body: Any, days: CivilDays, call: Call) -> Answered | VendorFault:
    fault = _fault(body)
    if fault is not None:
        return fault
    held = body.get("body")
    held = held if isinstance(held, dict) else {}
    offset = held.get("offset")
    if not held.get("more") or not isinstance(offset, int):
        return Answered(body)
    form = {**(call.form or {}), "offset": str(offset)}
    # The same page again would be asked for without end.
    return Answered(body, Call(call.path, form=form) if form != call.form else None)


def _read_day(body: Any, days: CivilDays, call: Call) -> Answered | VendorFault:
    """The first 24 hours, and after them the rest of a longer day."""
    fault = _fault(body)
    if fault is not None:
        return fault
    form, rest = dict(call.form or {}), _seconds(days.start) + DAY
    if form.get("startdate") == str(rest) or rest >= _seconds(days.end):
        return Answered(body)
    return Answered(body, Call(call.path, form={**form, "startdate": str(rest)}))


def _unwrap(answer: Any) -> Any:
    """The token response in an answer, or an error of OAuth that says the same."""
    status = answer.get("status") if isinstance(answer, dict) else None
    if status == 0:
        return answer.get("body")
    why = str(answer.get("error")) if isinstance(answer, dict) else ""
    if status in BUSY:
        return {"error": "temporarily_unavailable"}
    spent = status in NO_TOKEN or "refresh_token" in why or "code" in why
    return {"error": "invalid_grant" if spent else "invalid_request"}


def _user(token: Any) -> str:
    user = token.get("userid")
    return (
        str(user) if isinstance(user, int | str) and not isinstance(user, bool) else ""
    )


def _seconds(at: datetime) -> int:
    return microseconds(at) // 1_000_000


def _standing(status: int, body: Any) -> tuple[StandingOrder, ...] | VendorFault:
    fault = _fault(body)
    if fault is not None:
        return fault
    held = body.get("body")
    profiles = held.get("profiles") if isinstance(held, dict) else None
    if not isinstance(profiles, list):
        return VendorFault("refused", "an answer without subscriptions")
    known = (each for each in profiles if isinstance(each, dict))
    return tuple(
        StandingOrder(
            str(each.get("appli", "")),
            str(each.get("callbackurl", "")),
            _end(each.get("expires")),
        )
        for each in known
    )


def _end(told: Any) -> datetime | None:
    """When it ends, where that is a time and not the last one that it can write."""
    try:
        seconds = int(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 2**31 - 1 else None


def _notify(action: str, appli: str, callback: str) -> Call:
    told = {"action": action, "callbackurl": callback, "appli": appli}
    return Call("/notify", form=told)


def _judge(status: int, body: Any) -> Done | VendorFault:
    told = body.get("status") if isinstance(body, dict) else None
    if told == THERE_IS_ONE:
        return Done("already")
    if told in THERE_IS_NONE:
        return Done("gone")
    fault = _fault(body)
    if fault is None:
        return Done("done")
    return Done("refused", fault.why) if fault.kind == "refused" else fault


def _topics() -> dict[str, tuple[str, ...]]:
    """By kind of data, the numbers of what tells of it."""
    kinds = (kind for told in APPLIS.values() for kind in told)
    return {
        kind: tuple(number for number, told in APPLIS.items() if kind in told)
        for kind in kinds
    }


WITHINGS = Vendor(
    name=NAME,
    title="Withings",
    authorize_url="https://account.withings.com/oauth2_user/authorize2",
    token_url="https://wbsapi.withings.net/v2/oauth2",  # nosec B106 # an address
    api="https://wbsapi.withings.net",
    kinds=tuple(_kinds()),
    tokens=Tokens(
        request={"action": "requesttoken"},
        scope_separator=",",
        unwrap=_unwrap,
        user=_user,
    ),
    per_minute=120,
    of_all=True,
    note="A permission is ended in the Withings app: it has no such call for us.",
    subscribing=Subscribing(
        topics=_topics(),
        of_app=False,
        secret_in_url=True,
        list=Call("/notify", form={"action": "list"}),
        read=_standing,
        begin=lambda topic, callback, secret: _notify("subscribe", topic, callback),
        renew=lambda held, secret: _notify("subscribe", held.topic, held.callback),
        end=lambda held: _notify("revoke", held.topic, held.callback),
        judge=_judge,
        longest_url=LONGEST_URL,
    ),
)
