"""What several entries of the clients file have: names, addresses, files, servers."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
)

from ..http.addresses import parse_base
from ..wearables.clock import find_zone
from .problems import Path as FieldPath
from .problems import Reporter


def check_url(value: str) -> str:
    """Return a URL without a slash at its end. Raises ValueError."""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL that begins with https://")
    if url.query or url.fragment or url.username is not None:
        raise ValueError("must be a URL without user, query or fragment")
    return value.rstrip("/")


def check_fhir_url(value: str) -> str:
    """Return a URL whose host is named plainly. Raises ValueError."""
    check_url(value)
    if parse_base(value) is None:
        raise ValueError(
            "must name its host plainly: in ASCII letters (xn--…) or as an IP address"
            " in its usual form, and without dot segments in the path"
        )
    return value.rstrip("/")


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("must be an origin, such as https://ehr.example")
    if _USUAL_PORT.search(value):
        raise ValueError("must be without the usual port, since browsers send none")
    return value


_ORIGIN = re.compile(
    r"https?://([a-z0-9.-]*[a-z0-9]|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.I
)
_USUAL_PORT = re.compile(r"^https:.*:443$|^http:.*[^:]:80$", re.I)


def _zone(value: str) -> str:
    if find_zone(value) is None:
        raise ValueError("must be a time zone, such as America/New_York")
    return value


def list_alone(value: Any) -> Any:
    """Return a list, of one where it is none."""
    return value if isinstance(value, (list, tuple)) else [value]


def spell_out(value: Any) -> Any:
    """Return what a URL alone stands for."""
    return {"url": value} if isinstance(value, str) else value


def _fhir_base(value: str) -> str:
    return value if value == "-" else check_url(value)


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w.:@+-]+$")]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
FhirUrl = Annotated[str, AfterValidator(check_fhir_url)]
FhirBase = Annotated[str, AfterValidator(_fhir_base)]
Origin = Annotated[str, AfterValidator(_origin)]
ZoneName = Annotated[str, AfterValidator(_zone)]


class Entry(BaseModel):
    """One entry: of a field that it has not, it says so."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerEntry(Entry):
    """One FHIR server; its URL alone says the same as an entry with no more than it."""

    url: FhirUrl
    private: StrictBool = False
    """Whether its name may lead to addresses of private networks."""
    ca_file: Text | None = None
    """The authorities that vouch for it, in PEM; relative to the clients file."""


ServerEntries = tuple[Annotated[ServerEntry, BeforeValidator(spell_out)], ...]


# Files beside the clients file


def read_beside(
    folder: Path, name: str, path: FieldPath, reporter: Reporter
) -> str | None:
    """Return the text of a file that a field names; None, with a problem, for none."""
    try:
        return (folder / name).read_text("utf-8-sig")
    except OSError as error:
        reporter.add(path, f"{name}: {error.strerror}")
    except UnicodeDecodeError:
        reporter.add(path, f"{name}: is not UTF-8")
    return None


def read_one_secret(
    folder: Path, name: str, path: FieldPath, reporter: Reporter
) -> str:
    """Return the one secret of a file that a field names.

    Empty, with a problem, where it holds none, or more.
    """
    text = read_beside(folder, name, path, reporter)
    if text is None:
        return ""
    lines = text.split()
    if len(lines) != 1:
        reporter.add(path, f"{name}: must hold one secret and nothing else")
        return ""
    return lines[0]
