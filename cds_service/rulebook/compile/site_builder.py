"""What a site decides for all rules, and never what they mean: ``site.yaml``."""

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from ...protocol.cards import Coding
from ..engine.alerting import CardLimits
from ..engine.rows.problems import OpenEndings, build_reading, usual_reading
from ..engine.rules import Site
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document
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
        pages=data.get("pages", {}),
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
            message = (
                f"{quote(coding.code)} is about the advice: `snooze` has no effect"
            )
            help = "write `about: data`, or use `snooze_on_override` in the rules"
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
