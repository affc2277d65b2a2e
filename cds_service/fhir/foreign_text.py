"""What a server says of a failure, as one line that may be shown to a person. Pure."""

import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 200
_SECRET = re.compile(r"[\w.+/=~-]{32,}")


def shown(text: str) -> str:
    """The text on one line, cut, and without what could be a token or a signature."""
    printable = "".join(each if each.isprintable() else " " for each in text[:10_000])
    return _SECRET.sub("…", " ".join(printable.split()))[:_LONGEST]


def outcome_text(value: Any) -> str:
    """What an OperationOutcome says first; empty where it is none or says nothing."""
    if not isinstance(value, Mapping) or value.get("resourceType") != _OUTCOME:
        return ""
    issues = value.get("issue")
    for issue in issues if isinstance(issues, list) else ():
        if not isinstance(issue, Mapping):
            continue
        details = issue.get("details")
        told = details.get("text") if isinstance(details, Mapping) else None
        for said in (told, issue.get("diagnostics"), issue.get("code")):
            if isinstance(said, str) and shown(said):
                return shown(said)
    return ""


_OUTCOME = "OperationOutcome"
