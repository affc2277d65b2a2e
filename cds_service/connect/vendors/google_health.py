"""Google Health API, version 4: what is asked of it. Pure.

Steps of days are rolled up by Google itself, over the civil days of the wearer and all
devices. The steps of minutes, which tell whether somebody rested, are reconciled, since
a watch and a phone count the same walk. All else is asked for point by point: only so
is it told by which device it was measured, and what was typed by hand.

Source: developers.google.com/health/reference/rest/v4, "users.dataTypes.dataPoints"
(filters, page sizes, ranges of roll-ups); "Scopes".
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from .records import (
    Answered,
    Call,
    CivilDays,
    DataKind,
    Tokens,
    Vendor,
    WearerIdentity,
)

NAME = "google-health"
POINTS_OF_A_PAGE = "10000"
SLEEPS_OF_A_PAGE = "25"
"""As many as the API gives of sleeps."""
DAYS_OF_A_ROLL_UP = 90
SLEEP = ("time-asleep", "light-sleep", "deep-sleep", "rem-sleep")
GLUCOSE = ("sensor-glucose", "capillary-glucose", "glucose")
VARIABILITY = ("heart-rate-variability-rmssd", "heart-rate-variability-sdnn")
Filter = Callable[[str, CivilDays], tuple[str, str, str]]
"""The member that is filtered by, and from where on and before what."""
_SCOPE = "https://www.googleapis.com/auth/googlehealth."
PROFILE = f"{_SCOPE}profile.readonly"
"""The scope by which it is known who the wearer is."""


def _kinds() -> Iterator[DataKind]:
    activity, health = "activity_and_fitness", "health_metrics_and_measurements"
    yield _rolled_up("steps-of-days", "steps", ("steps",))
    yield _rolled_up("active-energy", "active-energy-burned", ("active-energy",))
    yield _points("steps", activity, ("steps",), _by_interval, ":reconcile")
    for type, metrics in (
        ("heart-rate", ("heart-rate",)),
        ("oxygen-saturation", ("oxygen-saturation",)),
        ("heart-rate-variability", VARIABILITY),
        ("blood-glucose", GLUCOSE),
        ("weight", ("body-weight",)),
        ("core-body-temperature", ("body-temperature",)),
    ):
        points = _points(type, health, metrics, _by_sample)
        # Of the others a daily value has the same metric.
        shared = type in ("oxygen-saturation", "heart-rate-variability")
        yield points if shared else replace(points, sole=metrics)
    for type, metrics in (
        ("daily-resting-heart-rate", ("resting-heart-rate",)),
        ("daily-oxygen-saturation", ("oxygen-saturation",)),
        ("daily-respiratory-rate", ("respiratory-rate",)),
        ("daily-heart-rate-variability", VARIABILITY[:1]),
    ):
        yield replace(_points(type, health, metrics, _by_date), whole=True)
    sleep = _points("sleep", "sleep", SLEEP, _by_end, size=SLEEPS_OF_A_PAGE)
    yield replace(sleep, sole=SLEEP)
    rhythm = "irregular-rhythm-notification"
    yield _points(rhythm, "irn", ("heart-rate",), _by_civil_start)


def _rolled_up(name: str, type: str, metrics: tuple[str, ...]) -> DataKind:
    """The kind of data of which Google sums up each civil day."""

    def ask(days: CivilDays) -> Call:
        ends = {"start": days.first, "end": days.last + timedelta(days=1)}
        asked = {
            "range": {end: {"date": _members(day)} for end, day in ends.items()},
            "windowSizeDays": 1,
        }
        return Call(f"{_path(type)}:dailyRollUp", json=asked)

    def read(body: Any, days: CivilDays, call: Call) -> Answered:
        token = _next(body)
        if not token:
            return Answered(body)
        return Answered(body, Call(call.path, json={**call.json, "pageToken": token}))

    scopes = (f"{_SCOPE}activity_and_fitness.readonly", PROFILE)
    return DataKind(
        *(name, scopes, metrics, NAME, ask, read, DAYS_OF_A_ROLL_UP), whole=True
    )


def _points(
    type: str,
    scope: str,
    metrics: tuple[str, ...],
    by: Filter,
    how: str = "",
    size: str = POINTS_OF_A_PAGE,
) -> DataKind:
    """The kind of data whose points are asked for."""

    def ask(days: CivilDays) -> Call:
        member, start, end = by(type.replace("-", "_"), days)
        told = f'{member} >= "{start}" AND {member} < "{end}"'
        return Call(f"{_path(type)}{how}", {"filter": told, "pageSize": size})

    scopes = (f"{_SCOPE}{scope}.readonly", PROFILE)
    return DataKind(type, scopes, metrics, NAME, ask, _read_points)


def _read_points(body: Any, days: CivilDays, call: Call) -> Answered:
    token = _next(body)
    if not token:
        return Answered(body)
    return Answered(body, Call(call.path, {**call.query, "pageToken": token}))


def _by_sample(type: str, days: CivilDays) -> tuple[str, str, str]:
    return f"{type}.sample_time.physical_time", _moment(days.start), _moment(days.end)


def _by_interval(type: str, days: CivilDays) -> tuple[str, str, str]:
    return f"{type}.interval.start_time", _moment(days.start), _moment(days.end)


def _by_end(type: str, days: CivilDays) -> tuple[str, str, str]:
    return f"{type}.interval.end_time", _moment(days.start), _moment(days.end)


def _by_civil_start(type: str, days: CivilDays) -> tuple[str, str, str]:
    return f"{type}.interval.civil_start_time", *_dates(days)


def _by_date(type: str, days: CivilDays) -> tuple[str, str, str]:
    return f"{type}.date", *_dates(days)


def _dates(days: CivilDays) -> tuple[str, str]:
    return days.first.isoformat(), (days.last + timedelta(days=1)).isoformat()


def _path(type: str) -> str:
    return f"/users/me/dataTypes/{type}/dataPoints"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _members(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _next(body: Any) -> str:
    token = body.get("nextPageToken") if isinstance(body, dict) else None
    return token if isinstance(token, str) else ""


def _user(body: Any) -> str:
    user = body.get("healthUserId") if isinstance(body, dict) else None
    return user if isinstance(user, str) else ""


GOOGLE_HEALTH = Vendor(
    name=NAME,
    title="Google Health",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",  # nosec B106 # an address
    issuer="https://accounts.google.com",
    revoke_url="https://oauth2.googleapis.com/revoke",
    api="https://health.googleapis.com/v4",
    kinds=tuple(_kinds()),
    tokens=Tokens(authorize={"access_type": "offline", "prompt": "consent"}),
    identity=WearerIdentity(Call("/users/me/identity"), _user),
    per_minute=300,
    note=(
        "Most of its scopes are restricted: an app that Google has not verified may"
        " have 100 users."
    ),
)
