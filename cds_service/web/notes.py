"""What the log line of a request tells; nothing of it is patient data."""

from typing import Any

from flask import g


def note(**facts: Any) -> None:
    """Add facts to the log line of the current request."""
    read_notes().update(facts)


def read_notes() -> dict[str, Any]:
    """The facts noted so far."""
    facts: dict[str, Any] = g.setdefault("facts", {})
    return facts
