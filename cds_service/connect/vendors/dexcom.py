"""Dexcom, version 3: what is asked of its API. Pure.

It is asked by the time of its own system, which is UTC written without an offset, for
up to 30 days at once. It notifies of nothing, and what it tells is one to three hours
old. Whose account it is stands in each answer.

Source: developer.dexcom.com/docs/dexcomv3, "Endpoint Overview" (60,000 requests an hour
of an application), "Get Estimated Glucose Values v3"; "Authentication".
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .records import (
    Answered,
    Call,
    CivilDays,
    DataKind,
    Vendor,
    WearerIdentity,
)

NAME = "dexcom"
SCOPE = ("offline_access",)
"""The only one there is."""
_BASE = "/v3/users/self/"


def _asks(what: str) -> Callable[[CivilDays], Call]:
    def ask(days: CivilDays) -> Call:
        ends = {"startDate": _written(days.start), "endDate": _written(days.end)}
        return Call(f"{_BASE}{what}", ends)

    return ask


def _read(body: Any, days: CivilDays, call: Call) -> Answered:
    return Answered(body)


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"


def _user(body: Any) -> str:
    user = body.get("userId") if isinstance(body, dict) else None
    return user if isinstance(user, str) else ""


_GLUCOSE = ("sensor-glucose",)

DEXCOM = Vendor(
    name=NAME,
    title="Dexcom",
    authorize_url="https://api.dexcom.com/v2/oauth2/login",
    token_url="https://api.dexcom.com/v2/oauth2/token",  # nosec B106 # an address
    api="https://api.dexcom.com",
    kinds=(
        DataKind("glucose", SCOPE, _GLUCOSE, NAME, _asks("egvs"), _read, most_days=7),
        DataKind("alerts", SCOPE, _GLUCOSE, NAME, _asks("alerts"), _read, most_days=30),
    ),
    identity=WearerIdentity(Call(f"{_BASE}dataRange"), _user),
    per_minute=60,
    note="Accounts of the United States; those of elsewhere are at other vendors here.",
)


def _elsewhere(name: str, title: str, host: str) -> Vendor:
    """The same API at another host, which knows other accounts."""
    return replace(
        DEXCOM,
        name=name,
        title=title,
        authorize_url=DEXCOM.authorize_url.replace("api.dexcom.com", host),
        token_url=DEXCOM.token_url.replace("api.dexcom.com", host),
        api=f"https://{host}",
        note="Accounts of this region alone.",
    )


DEXCOM_EUROPE = _elsewhere("dexcom-eu", "Dexcom, Europe", "api.dexcom.eu")
DEXCOM_JAPAN = _elsewhere("dexcom-jp", "Dexcom, Japan", "api.dexcom.jp")
