"""Text from outside, made fit to be shown to a person. Pure."""

import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 200
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST_TEXT = 20_000
_SECRET = re.compile(r"[\w.+/=~-]{32,}")


def shown(text: str) -> str:
    """Return the text on one line, cut, without what could be a token or signature."""
    printable = "".join(each if each.isprintable() else " " for each in text[:10_000])
    return _SECRET.sub("…", " ".join(printable.split()))[:_LONGEST]


def clean(value: Any) -> str:
    """Return text from outside without what could steer a terminal; else nothing."""
    if not isinstance(value, str):
        return ""
    return _CONTROLS.sub("\ufffd", value[:_LONGEST_TEXT].replace("\r\n", "\n"))


def outcome_text(value: Any) -> str:
    """Return what an OperationOutcome says first; empty where it says nothing."""
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
