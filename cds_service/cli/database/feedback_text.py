"""What ``cds-service feedback`` writes: tables, CSV and JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...store.reports import FeedbackRecord, Period, RuleReport

UNCHECKED = "(checks that could not be made)"
"""The name of the card that no single rule gave."""
COLUMNS = ("rule", "fired", "shown", "held", "accepted", "overridden", "no word")
EXPORT_COLUMNS = (
    "intervention",
    "service",
    "card",
    "indicator",
    "shown_at",
    "action",
    "suggestions",
    "reason_system",
    "reason_code",
    "reason",
    "user",
    "date",
    "tenant",
    "client",
    "encounter",
)


def report_json(each: RuleReport) -> Mapping[str, Any]:
    """The report of one rule as plain data."""
    return {
        "rule": each.rule,
        "version": each.version,
        "fired": each.fired,
        "unknown": each.unknown,
        "shown": each.shown,
        "accepted": each.accepted,
        "overridden": each.overridden,
        "silent": each.silent,
        "accept_rate": each.share(each.accepted),
        "override_rate": each.share(each.overridden),
        "held_back": dict(sorted(each.held_back.items())),
        "override_reasons": [
            {"system": system, "code": code, "count": count}
            for (system, code), count in _most_common(each)
        ],
    }


def _most_common(each: RuleReport) -> list[tuple[tuple[str, str], int]]:
    return sorted(each.reasons.items(), key=lambda pair: (-pair[1], pair[0]))


def flat_report(each: RuleReport) -> Mapping[str, Any]:
    whole = report_json(each)
    return {
        **{name: value for name, value in whole.items() if not isinstance(value, list)},
        "held_back": sum(each.held_back.values()),
    }


def report_lines(reports: Sequence[RuleReport], period: Period) -> Iterable[str]:
    """The report as a table, and below it why cards were overridden."""
    yield f"from {_day(period.since)} until {_day(period.until)}"
    if not reports:
        yield "no call in this time"
        return
    table = [COLUMNS, *(_cells(each) for each in reports)]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    for row in table:
        first, *rest = row
        numbers = (cell.rjust(width) for cell, width in zip(rest, widths[1:]))
        yield "  ".join([first.ljust(widths[0]), *numbers]).rstrip()
    for each in reports:
        if each.reasons:
            said = ", ".join(f"{code} {n}" for (_, code), n in _most_common(each))
            yield f"{_name(each)} was overridden because: {said}"


def _name(each: RuleReport) -> str:
    return f"{each.rule}@{each.version}" if each.rule else UNCHECKED


def _cells(each: RuleReport) -> tuple[str, ...]:
    return (
        _name(each),
        str(each.fired) if each.rule else "",
        str(each.shown),
        str(sum(each.held_back.values())),
        _with_share(each, each.accepted),
        _with_share(each, each.overridden),
        _with_share(each, each.silent),
    )


def _with_share(each: RuleReport, number: int) -> str:
    share = each.share(number)
    return str(number) if share is None else f"{number} ({share:.0%})"


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def export_json(record: FeedbackRecord, with_comment: bool) -> Mapping[str, Any]:
    """One word of feedback with the fields that a hospital has to export."""
    said: dict[str, Any] = {
        "reason_system": record.reason_system,
        "reason_code": record.reason_code,
        "reason": record.reason_display,
    }
    if with_comment:
        said["comment"] = record.comment
    return {
        "intervention": {
            "rule": record.rule,
            "version": record.version,
            "service": record.service,
            "card": record.card,
            "indicator": record.indicator,
            "shown_at": record.shown_at,
        },
        "action": record.action,
        "suggestions": list(record.suggestions),
        "feedback": said,
        "user": record.user,
        "date": record.date,
        "location": {
            "tenant": record.tenant,
            "client": record.client,
            "encounter": record.encounter,
        },
    }


def export_row(record: Mapping[str, Any]) -> Mapping[str, Any]:
    intervention = record["intervention"]
    rule, version = intervention["rule"], intervention["version"]
    return {
        "intervention": f"{rule}@{version}" if rule else "",
        "service": intervention["service"],
        "card": intervention["card"],
        "indicator": intervention["indicator"],
        "shown_at": intervention["shown_at"],
        "action": record["action"],
        "suggestions": " ".join(record["suggestions"]),
        **record["feedback"],
        "user": record["user"],
        "date": record["date"],
        **record["location"],
    }


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
