"""Every vendor whose cloud may be connected, a line each. Pure."""

from collections.abc import Mapping

from .dexcom import DEXCOM, DEXCOM_EUROPE, DEXCOM_JAPAN
from .google_fit import GOOGLE_FIT
from .google_health import GOOGLE_HEALTH
from .oura import OURA
from .records import Vendor
from .withings import WITHINGS

VENDORS: Mapping[str, Vendor] = {
    each.name: each
    for each in (
        GOOGLE_FIT,
        GOOGLE_HEALTH,
        WITHINGS,
        OURA,
        DEXCOM,
        DEXCOM_EUROPE,
        DEXCOM_JAPAN,
    )
}
"""By the name in the clients file."""
