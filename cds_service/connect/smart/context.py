"""What a token response says beside its token: what is open in the EHR. Pure.

Source: SMART App Launch 2.2, "Scopes for requesting context data"; what EHRs make of
it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from ...http.addresses import parse_base
from .records import LaunchContext

LONGEST = 4096
"""Characters of a text of the context."""
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_USER = re.compile(
    r"(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)"
    r"/[A-Za-z0-9.-]{1,64}",
    re.ASCII,
)
_NO = ("false", "False")


def read_context(answer: Mapping[str, Any]) -> LaunchContext:
    """Return the context of a token response; what it cannot be is left out."""
    return LaunchContext(
        patient=_id(answer.get("patient")),
        encounter=_id(answer.get("encounter")) or None,
        app_context=_app_context(answer.get("appContext")),
        intent=_text(answer.get("intent")),
        tenant=_text(answer.get("tenant")),
        needs_banner=answer.get("need_patient_banner") not in (False, *_NO),
    )


def read_user(claims: Mapping[str, Any], base: str) -> str | None:
    """Return ``fhirUser``: relative to the base where it is there, else as it came.

    Older servers call it ``profile``. None where nobody says who it is.
    """
    told = claims.get("fhirUser") or claims.get("profile")
    if not isinstance(told, str) or not told or len(told) > LONGEST:
        return None
    root = parse_base(base)
    relative = told.removeprefix(f"{root}/").removeprefix(f"{base.rstrip('/')}/")
    if _USER.fullmatch(relative):
        return relative
    return told if "fhirUser" in claims else None


def _app_context(value: Any) -> str:
    """As text: some EHRs make an object of it."""
    if isinstance(value, Mapping):
        texts = [each for each in value.values() if isinstance(each, str)]
        value = texts[0] if len(value) == len(texts) == 1 else json.dumps(value)
    return _text(value)


def _id(value: Any) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST else ""
