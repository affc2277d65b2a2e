"""The text formats of the standard, and reading them tolerantly where that is safe."""

import re
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlsplit, urlunsplit

LONGEST = 255
"""Characters in an identifier. Longer than FHIR's 64: real ids of 194 are sent."""

HALF = "\ufffd"
"""What stands for half a character that was replaced. Source: Unicode, "Specials"."""

_BREAKS_A_URL = frozenset(' /?#%&"<>\\^`{|}')
_BREAKS_A_SEARCH = frozenset(",$")
_FORBIDDEN_IN_IDS = _BREAKS_A_URL | _BREAKS_A_SEARCH
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_UUID = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)
_REVERSE_DOMAIN = re.compile(r"[a-z]+(?:\.[A-Za-z0-9-]+)+")
_HALVES = re.compile("[\ud800-\udfff]")
_NEVER = re.compile(rb"[\xc0\xc1\xf5-\xff]")
_RAW_HALVES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_RAW_PAIRS = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_HALF_ESCAPE = r"\ufffd"
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,30}))?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)


def is_id(text: str) -> bool:
    """Check whether *text* can stand in a URL path or a search as a FHIR id.

    Refuses what breaks out of either; a comma in a search would mean a second patient.
    """
    return (
        len(text) <= LONGEST
        and text.isprintable()
        and _FORBIDDEN_IN_IDS.isdisjoint(text)
        and is_whole(text)
        and text.strip(".") != ""
    )


def is_reference(text: str) -> bool:
    """Check whether *text* is ``Type/id``.

    Source: FHIR invariant ord-1, with ids as ``is_id`` has them.
    """
    resource_type, _, id = text.partition("/")
    return _TYPE.fullmatch(resource_type) is not None and is_id(id)


def is_opaque(text: str) -> bool:
    """Check whether *text* can be kept as an identifier that means nothing to us."""
    printable = text.isprintable() and not text.isspace()
    return 0 < len(text) <= LONGEST and printable and is_whole(text)


def is_whole(text: str) -> bool:
    """Check that no half of a character is in *text*, and none was replaced in it.

    With one it names nothing: what was replaced in another name looks the same.
    """
    return HALF not in text and _HALVES.search(text) is None


def mend(text: bytes) -> tuple[str, int]:
    """Return JSON text with each half of a character replaced, and how many there were.

    Who cuts text at so many bytes, or at so many UTF-16 units, leaves half a character
    at its end: a sequence of UTF-8 that breaks off, or one surrogate of a pair, by
    itself or as an escape. A pair of surrogates that are written by themselves becomes
    the character that they are, and counts as well.

    Raises:
        UnicodeDecodeError: if there is a byte that no character of UTF-8 has.

    Source: RFC 8259 section 8.2; Unicode section 3.9 "U+FFFD Substitution of Maximal
    Subparts".
    """
    try:
        decoded, number = text.decode(), 0
    except UnicodeDecodeError:
        decoded, number = _mended(text)
    if _SURROGATE_ESCAPE.search(decoded):
        written, decoded = decoded, _ESCAPES.sub(_whole_escape, decoded)
        number += decoded.count(_HALF_ESCAPE) - written.count(_HALF_ESCAPE)
    return decoded, number


def _mended(text: bytes) -> tuple[str, int]:
    if never := _NEVER.search(text):
        raise UnicodeDecodeError("utf-8", text, *never.span(), "invalid start byte")
    text, pairs = _RAW_PAIRS.subn(_join, text)
    text, halves = _RAW_HALVES.subn(HALF.encode(), text)
    decoded = text.decode("utf-8", "replace")
    cut = decoded.count(HALF) - text.count(HALF.encode())
    return decoded, pairs + halves + cut


def _join(pair: re.Match[bytes]) -> bytes:
    units = pair[0].decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
    return units.decode("utf-16").encode()


def _whole_escape(escape: re.Match[str]) -> str:
    return _HALF_ESCAPE if escape["half"] else escape[0]


def is_reverse_domain(text: str) -> bool:
    """Check whether *text* is a name such as ``org.example.patient-transmogrify``."""
    return len(text) <= LONGEST and _REVERSE_DOMAIN.fullmatch(text) is not None


def parse_uuid(text: str) -> str | None:
    """Return the UUID in lower case without ``urn:uuid:``; none if it is no UUID."""
    match = _UUID.fullmatch(text)
    return match[1].lower() if match else None


def parse_base_url(text: str) -> str | None:
    """Return the http or https base URL in one spelling; none if *text* is not one.

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
    """Return the moment in UTC; none if it is no RFC 3339 date-time with its zone.

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
