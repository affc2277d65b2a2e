"""Why a rule said what it said, for who treats the patient: all of it, as plain data.

Beside the criteria it says what each fact is called, what every resource that was seen
says and when, and who answers for the rule and on what evidence: so that it can be kept
and read years later, when the rule has long changed. It holds names and values out of
the record, and goes where the record may go.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ...wearables.detection.episodes import DayTally
from ...wearables.records import WearableAlert
from ...wearables.summaries import DaySummary
from ...wearables.worn import AgreedStream
from ..engine.attributes import interval_text
from ..engine.case import Case
from ..engine.facts import Fact, Found
from ..engine.recorded import begun_text, called
from ..engine.rows.readings import Row
from ..engine.rules import Rule
from ..values.text import format_quantity, format_unit
from .explain import explain_json


def why_json(rule: Rule, case: Case) -> dict[str, Any]:
    """Return what `explain --json` says of the rule, and what the record says for it.

    Beside its members there are ``owner``, ``approved``, ``review_by``, ``evidence``
    and ``facts``: by name its title, its kind, its unit in UCUM
    and as people write it, and as ``rows`` each resource that it has
    or may have, with name, value, at, until, source and device. Times are of the site's
    zone, as exact as they are recorded.
    """
    return {
        **explain_json(rule, case),
        "owner": rule.owner,
        "approved": rule.approved,
        "review_by": rule.review_by.isoformat() if rule.review_by else None,
        "evidence": [
            {"citation": each.citation, "url": each.url, "year": each.year}
            for each in rule.evidence
        ],
        "facts": {
            name: {
                "title": fact.title or name.replace("_", " "),
                "kind": fact.kind,
                "unit": [fact.unit, format_unit(fact.unit)],
                "rows": [_row(each, fact, case) for each in _seen(case.found(fact))],
            }
            for name, fact in rule.facts.items()
        },
    }


def _seen(found: Found) -> Iterator[Row]:
    """What is certainly meant, then what may be."""
    yield from (*found.rows, *found.possible, *found.unusable, *found.uncertain)
    yield from (*found.unresolved, *found.unobtained)


def _row(row: Row, fact: Fact, case: Case) -> dict[str, Any]:
    if row.alert:
        told = _alert(row.alert, fact, case)
    elif row.worn:
        told = {**_worn(row.worn, case), "value": _value(row, fact)}
    else:
        named = row.name or ", ".join(called(case, fact, [row]))
        told = {"name": named, "value": _value(row, fact), "at": _at(row, case)}
    empty = dict.fromkeys(("name", "value", "at", "until", "source", "device"), "")
    return {"resource": row.reference, **empty, **told}


def _value(row: Row, fact: Fact) -> str:
    return interval_text(row.value, fact.unit) if row.value else ""


def _at(row: Row, case: Case) -> str:
    """When it was, to the minute where that is recorded."""
    if row.dated and row.moment.low == row.moment.high and not row.since:
        return _instant(row.moment.low, case)
    return begun_text(row, case) or ""


def _instant(at: datetime, case: Case) -> str:
    return f"{at.astimezone(case.zone):%Y-%m-%d %H:%M}"


def _alert(alert: WearableAlert, fact: Fact, case: Case) -> dict[str, str]:
    value = alert.value
    return {
        "name": alert.type.replace("-", " "),
        "value": "" if value is None else format_quantity(value, alert.unit),
        "at": _instant(alert.start, case),
        "until": _instant(alert.end, case) if alert.end else "",
        "source": alert.source,
        "device": alert.device,
    }


def _worn(worn: object, case: Case) -> dict[str, str]:
    if isinstance(worn, DaySummary):
        source = worn.source or ", ".join(worn.sources)
        told = {"name": worn.metric.replace("-", " "), "at": worn.day.isoformat()}
        return {**told, "source": source, "device": ", ".join(worn.devices)}
    if isinstance(worn, AgreedStream):
        told = {"name": worn.metric.replace("-", " "), "at": _instant(worn.heard, case)}
        return {**told, "source": worn.source, "device": worn.device}
    if isinstance(worn, DayTally):
        return {"name": worn.detector.replace("-", " "), "at": worn.day.isoformat()}
    return {}
