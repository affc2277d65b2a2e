"""The text formats of the standard, and reading them tolerantly where that is safe."""

import re
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlsplit, urlunsplit

LONGEST = 255
"""Characters in an identifier. Longer than FHIR's 64: real ids of 194 are sent."""

_BREAKS_A_URL = frozenset(' /?#%&"<>\\^`{|}')
_BREAKS_A_SEARCH = frozenset(",$")
_FORBIDDEN_IN_IDS = _BREAKS_A_URL | _BREAKS_A_SEARCH
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_UUID = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)
_REVERSE_DOMAIN = re.compile(r"[a-z]+(?:\.[A-Za-z0-9-]+)+")
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,30}))?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)


def is_id(text: str) -> bool:
    """Whether *text* can stand in a URL path or a search as a FHIR id.

    Refuses what breaks out of either; a comma in a search would mean a second patient.
    """
    return (
        len(text) <= LONGEST
        and text.isprintable()
        and _FORBIDDEN_IN_IDS.isdisjoint(text)
        and text.strip(".") != ""
    )


def is_reference(text: str) -> bool:
    """Whether *text* is ``Type/id``.

    Source: FHIR invariant ord-1, with ids as ``is_id`` has them.
    """
    resource_type, _, id = text.partition("/")
    return _TYPE.fullmatch(resource_type) is not None and is_id(id)


def is_opaque(text: str) -> bool:
    """Whether *text* can be kept as an identifier that means nothing to us."""
    return 0 < len(text) <= LONGEST and text.isprintable() and not text.isspace()


def is_reverse_domain(text: str) -> bool:
    """Whether *text* is a name such as ``org.example.patient-transmogrify``."""
    return len(text) <= LONGEST and _REVERSE_DOMAIN.fullmatch(text) is not None


def parse_uuid(text: str) -> str | None:
    """The UUID in lower case without ``urn:uuid:``; none if *text* is not one."""
    match = _UUID.fullmatch(text)
    return match[1].lower() if match else None


def parse_base_url(text: str) -> str | None:
    """The http or https base URL in one spelling; none if *text* is not one.

    Scheme and host in lower case, no default port, no slash at the end: one FHIR
    server has one name here, whoever writes it.
    """
    if len(text) > 2048 or not text.isprintable() or " " in text or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    segments = parts.path.lower().replace("%2e", ".").split("/")
    if "?" in text or "#" in text or not {".", ".."}.isdisjoint(segments):
        return None
    name = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        name = f"{name}:{port}"
    return urlunsplit((parts.scheme, name, parts.path.rstrip("/"), "", ""))


def parse_instant(text: str) -> datetime | None:
    """The moment in UTC; none if *text* is not an RFC 3339 date-time with its zone.

    Source: RFC 3339 section 5.6. A leap second is the next second.
    """
    match = _RFC_3339.fullmatch(text)
    if not match:
        return None
    date, clock, seconds, fraction, zulu, sign, hours, minutes = match.groups()
    leap = seconds == "60"
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}:{'59' if leap else seconds}")
        moment += timedelta(
            seconds=leap, microseconds=int((fraction or "0").ljust(6, "0")[:6])
        )
        offset = timedelta(0)
        if not zulu:
            if int(minutes) > 59:
                return None
            offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
        return moment.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
