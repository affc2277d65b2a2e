"""What a site decides for all rules, and never what they mean.

``site.yaml``, and ``alert-types.yaml``: the wearable alerts that a site knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from ...fhir.code_systems import canonical_system, normalise_code
from ...protocol.cards import Coding
from ...wearables.records import AlertType
from ..engine.alerting import CardLimits
from ..engine.rows.problems import OpenEndings, build_reading, usual_reading
from ..engine.rules import Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document
from ..language.slips import check_unit
from ..terminology.checks import check_entry
from ..terminology.valuesets import overlay_names
from ..values.intervals import Duration, parse_duration
from .orders import build_orders

LOCAL_REASONS = "urn:cds-service:local-override-reasons"
"""The code system of a site's own override reasons, where it names none."""


def build_site(
    document: Document | None, valuesets: Iterable[Document], findings: Findings
) -> Site:
    """Return what site.yaml decides; the defaults where there is none."""
    if document is None:
        return Site()
    data = document.data
    try:
        zone = ZoneInfo(data["time_zone"])
    except (KeyError, ValueError, OSError):
        findings.error(
            document,
            ("time_zone",),
            "CDS011",
            f"{quote(data['time_zone'])} is not a time zone",
            "write a name of the IANA list, such as `America/New_York`",
        )
        zone = ZoneInfo("UTC")
    overlays = tuple(data.get("overlays", ()))
    offered = overlay_names(valuesets)
    for index, overlay in enumerate(overlays):
        if overlay not in offered:
            findings.error(
                document,
                ("overlays", index),
                "CDS012",
                f"there is no overlay {quote(overlay)}",
                suggest(overlay, offered) or "remove it, or add its folder",
            )
    return Site(
        time_zone=zone,
        serve_unapproved=data.get("unapproved") == "serve",
        ignore_unresolved=_ignores_unresolved(document, findings),
        overlays=overlays,
        override_reasons={each.code: each for each in _reasons(data)},
        data_reasons=_data_reasons(document, findings),
        limits=CardLimits(**data.get("limits", {})),
        reading=_reading(document, findings),
        orders=build_orders(document, findings),
    )


def _reading(document: Document, findings: Findings) -> OpenEndings:
    """Return how long what a record leaves open is taken to hold at this site."""
    written = document.data.get("reading", {})
    for name, length in written.items():
        if parse_duration(length) is None:
            message = f"{quote(length)} is not a duration"
            help = "write e.g. `90 days`, `12 months`"
            findings.error(document, ("reading", name), "CDS222", message, help)
            return usual_reading()
    return build_reading(written)


def _reasons(data: Mapping[str, Any]) -> list[Coding]:
    return [
        Coding(each.get("system", LOCAL_REASONS), each["code"], each["display"])
        for each in data.get("override_reasons", ())
    ]


def _data_reasons(document: Document, findings: Findings) -> dict[str, Duration | None]:
    """The reasons that are about the data; a ``snooze`` of others says nothing."""
    found: dict[str, Duration | None] = {}
    for index, coding in enumerate(_reasons(document.data)):
        body = document.data["override_reasons"][index]
        path = ("override_reasons", index, "snooze")
        length = parse_duration(body["snooze"]) if "snooze" in body else None
        if "snooze" in body and length is None:
            message = f"{quote(body['snooze'])} is not a duration"
            help = "write e.g. `24 hours`, `14 days`, `3 months`; at most 150 years"
            findings.error(document, path, "CDS222", message, help)
        if body.get("about") == "data":
            found[f"{coding.system}|{coding.code}"] = length
        elif "snooze" in body:
            message = f"{quote(coding.code)} is about the advice: this is not heeded"
            help = "write `about: data`, or let rules say it in `snooze_on_override`"
            findings.warning(document, path, "CDS019", message, help, key=True)
    return found


def _ignores_unresolved(document: Document, findings: Findings) -> bool:
    if document.data.get("unresolved") != "ignore":
        return False
    findings.warning(
        document,
        ("unresolved",),
        "CDS013",
        "problems and medicines that no value set recognises are ignored",
        "`absent` is then true although the record may hold what is looked for",
    )
    return True


def alert_types_of(document: Document | None) -> dict[str, AlertType]:
    """The wearable alerts that a file of alert types, of the right shape, names."""
    return {
        name: AlertType(
            name,
            each["title"],
            each.get("metric", ""),
            each.get("unit", ""),
            _codes(each),
            each.get("molar_mass", 0.0),
        )
        for name, each in _written(document).items()
    }


def check_alert_types(document: Document | None, findings: Findings) -> None:
    """Hold the units and codes of a file of the right shape to their systems."""
    for name, body in _written(document).items():
        if document is None:
            continue
        where = ("alert_types", name)
        if "unit" in body:
            check_unit(body["unit"], document, (*where, "unit"), findings)
        for index, entry in enumerate(body.get("codes", ())):
            check_entry(document, (*where, "codes", index), entry, findings)


def _written(document: Document | None) -> Mapping[str, Mapping[str, Any]]:
    written: Mapping[str, Any] = document.data["alert_types"] if document else {}
    return written


def _codes(body: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    pairs = []
    for entry in body.get("codes", ()):
        system = canonical_system(entry["system"])
        pairs += [(system, normalise_code(system, each)) for each in entry["codes"]]
    return frozenset(pairs)
