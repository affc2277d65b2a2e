"""What formats of wearable data mean by their own units, in UCUM."""

from collections.abc import Mapping

OWN_UNITS: Mapping[str, Mapping[str, str]] = {
    "apple-health": {"count/min": "/min", "%": "1", "st": "[stone_av]"}
}
