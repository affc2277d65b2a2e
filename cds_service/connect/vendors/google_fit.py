"""Google Fit: what is asked of its REST API, day by day. Pure.

A day is asked for from its first to its last moment on the wearer's clock, since a
bucket of 24 hours is none where clocks are changed. Steps are those that Google's own
app shows; everything else is asked for point by point, of the merged data stream.

No project that is not there already may use it: new ones were last taken on 2024-04-30.

Source: developers.google.com/fit/rest/v1, "Users.dataset: aggregate",
"Users.dataSources.datasets: get"; "Authorization scopes"; "Migration guide".
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ...wearables.samples import microseconds
from .records import Answered, Call, CivilDays, DataKind, Tokens, Vendor

NAME = "google-fit"
STEPS = "com.google.step_count.delta"
SHOWN_STEPS = f"derived:{STEPS}:com.google.android.gms:estimated_steps"
"""The stream of which Google's app shows the total of a day."""
AT_A_TIME = "1000"
"""Points of one answer."""
SLEEP = ("time-asleep", "light-sleep", "deep-sleep", "rem-sleep")
_SCOPE = "https://www.googleapis.com/auth/fitness."


def _ask_total(days: CivilDays) -> Call:
    start, end = _milliseconds(days.start), _milliseconds(days.end)
    asked = {
        "aggregateBy": [{"dataTypeName": STEPS, "dataSourceId": SHOWN_STEPS}],
        "bucketByTime": {"durationMillis": end - start},
        "startTimeMillis": start,
        "endTimeMillis": end,
    }
    return Call("/users/me/dataset:aggregate", json=asked)


def _read_total(body: Any, days: CivilDays, call: Call) -> Answered:
    return Answered(body)


def _read_points(body: Any, days: CivilDays, call: Call) -> Answered:
    token = body.get("nextPageToken") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        return Answered(body)
    return Answered(body, Call(call.path, {**call.query, "pageToken": token}))


def _points(
    name: str, type: str, scope: str, metrics: tuple[str, ...], stream: str = "merged"
) -> DataKind:
    """The kind of data whose points are asked for one by one."""
    source = quote(f"derived:{type}:com.google.android.gms:{stream}", safe=":")

    def ask(days: CivilDays) -> Call:
        span = f"{_nanoseconds(days.start)}-{_nanoseconds(days.end)}"
        path = f"/users/me/dataSources/{source}/datasets/{span}"
        return Call(path, {"limit": AT_A_TIME})

    return DataKind(name, (f"{_SCOPE}{scope}.read",), metrics, NAME, ask, _read_points)


def _kinds() -> Iterator[DataKind]:
    activity = (f"{_SCOPE}activity.read",)
    steps = DataKind("steps", activity, ("steps",), NAME, _ask_total, _read_total)
    yield replace(steps, whole=True)
    yield _points(
        *("heart-rate", "com.google.heart_rate.bpm", "heart_rate"),
        ("heart-rate",),
        "merge_heart_rate_bpm",
    )
    for name, type, scope, metrics in (
        ("oxygen-saturation", "oxygen_saturation", "oxygen_saturation", ()),
        ("body-temperature", "body.temperature", "body_temperature", ()),
        (
            *("blood-pressure", "blood_pressure", "blood_pressure"),
            ("systolic-blood-pressure", "diastolic-blood-pressure"),
        ),
        ("blood-glucose", "blood_glucose", "blood_glucose", ("glucose",)),
        ("sleep", "sleep.segment", "sleep", SLEEP),
    ):
        yield _points(name, f"com.google.{type}", scope, metrics or (name,))
    yield _points(
        "body-weight", "com.google.weight", "body", ("body-weight",), "merge_weight"
    )


def _milliseconds(at: datetime) -> int:
    return microseconds(at) // 1000


def _nanoseconds(at: datetime) -> int:
    return microseconds(at) * 1000


GOOGLE_FIT = Vendor(
    name=NAME,
    title="Google Fit",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",  # nosec B106 # an address
    issuer="https://accounts.google.com",
    revoke_url="https://oauth2.googleapis.com/revoke",
    api="https://www.googleapis.com/fitness/v1",
    kinds=tuple(_kinds()),
    tokens=Tokens(authorize={"access_type": "offline", "prompt": "consent"}),
    per_minute=300,
    note="Google takes no new projects for Fit: one of before May 2024 is needed.",
)
