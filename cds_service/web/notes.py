"""What the log line of a request tells, and where its time went.

Nothing of it is patient data: phases and prefetch keys are named. In ``Server-Timing``
only callers who are known are told.

Source: W3C Server Timing.
"""

from typing import Any

from flask import Response, g

from ..decision.stopwatch import Stopwatch


def note(**facts: Any) -> None:
    """Add facts to the log line of the current request."""
    read_notes().update(facts)


def read_notes() -> dict[str, Any]:
    """Return the facts noted so far."""
    facts: dict[str, Any] = g.setdefault("facts", {})
    return facts


def tell_timing(response: Response) -> Response:
    """Put on a call's answer, a refusal too, what it spent where."""
    watch: Stopwatch | None = g.get("watch")
    if watch is not None and g.get("client") is not None:
        watch.enter("")
        response.headers["Server-Timing"] = render_timing(watch)
        note(spent=in_milliseconds(watch))
    return response


def render_timing(watch: Stopwatch) -> str:
    """Return the value of the header, times in milliseconds."""
    fetched = [
        f'fhir;dur={_milliseconds(seconds)};desc="{key}"'
        for key, seconds in watch.fetched.items()
    ]
    entries = []
    for phase, seconds in watch.phases.items():
        entries.append(f"{phase};dur={_milliseconds(seconds)}")
        if phase == "gather":
            entries += fetched
    return ", ".join([*entries, f"total;dur={_milliseconds(watch.elapsed)}"])


def in_milliseconds(watch: Stopwatch) -> dict[str, float | dict[str, float]]:
    """Return the same for the log line; fetches by prefetch key."""
    told: dict[str, float | dict[str, float]] = {
        phase: _milliseconds(seconds) for phase, seconds in watch.phases.items()
    }
    if watch.fetched:
        told["fhir"] = {
            key: _milliseconds(seconds) for key, seconds in watch.fetched.items()
        }
    return told


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
