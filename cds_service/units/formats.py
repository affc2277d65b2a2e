"""What formats of wearables mean by their own spellings of units, in UCUM.

They go before everything else: ``C`` is a degree to Open mHealth and a coulomb to UCUM,
``st`` is a stone to Apple and a stere to UCUM, and ``%`` beside a number says a share
of one to Apple and percent to all others. A spelling that is missing here is read as
anybody's.

Sources: enumerations of the unit-value schemas of Open mHealth (``temperature``,
``mass``, ``duration``, ``heart-rate``, ``respiratory-rate``); ``HKUnit`` of HealthKit,
whose export names units by ``unitString``; JSON format of Health Auto Export, whose
units follow the settings of the phone; ISO/IEEE 11073-10101 (``MDC_DIM``); HL7 2.5.1
chapter 7, ISO+ units.
"""

from collections.abc import Mapping
from types import MappingProxyType

_ANYWHERE = {
    "count/min": "/min",
    "bpm": "/min",
    "mmHg": "mm[Hg]",
    "degC": "Cel",
    "degF": "[degF]",
    "lb": "[lb_av]",
    "oz": "[oz_av]",
    "st": "[stone_av]",
    "hr": "h",
    "count": "{count}",
    "Cal": "kcal",
    "mcg": "ug",
    "in": "[in_i]",
    "ft": "[ft_i]",
    "mi": "[mi_i]",
    "km/hr": "km/h",
    "mi/hr": "[mi_i]/h",
    "mL/min·kg": "mL/min/kg",
}
"""As HealthKit writes them, and who passes on what it says."""

_OPEN_MHEALTH = {
    "beats/min": "/min",
    "breaths/min": "/min",
    "C": "Cel",
    "F": "[degF]",
    "mmHg": "mm[Hg]",
    "steps": "{steps}",
    "lb": "[lb_av]",
    "oz": "[oz_av]",
    "gr": "[gr]",
    "sec": "s",
    "Mo": "mo",
    "yr": "a",
}

_APPLE = _ANYWHERE | {
    "%": "1",
    "mmol<180.1558800000541>/L": "mmol/L",
    "dBASPL": "dB[SPL]",
    "kcal/hr·kg": "kcal/h/kg",
}

_HEALTH_AUTO_EXPORT = _ANYWHERE | {
    "steps": "{steps}",
    "kmph": "km/h",
    "mph": "[mi_i]/h",
    "ml/(kg·min)": "mL/min/kg",
}

_FHIR = {"/d": "{steps}", "{steps}/d": "{steps}"}
"""A total of a day is one of the day: what it is divided by stands in its time."""

_HL7V2 = {
    "262656": "1",
    "262688": "%",
    "263875": "kg",
    "263904": "[lb_av]",
    "264274": "mg/dL",
    "264864": "/min",
    "264928": "/min",
    "266016": "mm[Hg]",
    "266560": "[degF]",
    "266866": "mmol/L",
    "268192": "Cel",
    "MDC_DIM_BEAT_PER_MIN": "/min",
    "MDC_DIM_DEGC": "Cel",
    "MDC_DIM_KILO_G": "kg",
    "MDC_DIM_MMHG": "mm[Hg]",
    "MDC_DIM_PERCENT": "%",
    "MDC_DIM_RESP_PER_MIN": "/min",
    "bpm": "/min",
    "BPM": "/min",
    "/MIN": "/min",
    "beats/min": "/min",
    "breaths/min": "/min",
    "rpm": "/min",
    "mmHg": "mm[Hg]",
    "MM(HG)": "mm[Hg]",
    "MM[HG]": "mm[Hg]",
    "CEL": "Cel",
    "C": "Cel",
    "F": "[degF]",
    "degC": "Cel",
    "degF": "[degF]",
    "KG": "kg",
    "MG/DL": "mg/dL",
    "MMOL/L": "mmol/L",
    "lb": "[lb_av]",
    "%": "%",
    "steps": "{steps}",
    "/d": "{steps}",
    "{steps}/d": "{steps}",
}
"""Codes of MDC, and what devices write instead of UCUM; in old messages in capitals."""

OWN_UNITS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "samples": MappingProxyType({}),
        "open-mhealth": MappingProxyType(_OPEN_MHEALTH),
        "fhir": MappingProxyType(_FHIR),
        "health-auto-export": MappingProxyType(_HEALTH_AUTO_EXPORT),
        "garmin": MappingProxyType({}),
        "nightscout": MappingProxyType({}),
        "google-fit": MappingProxyType({}),
        "google-health": MappingProxyType({}),
        "withings": MappingProxyType({}),
        "oura": MappingProxyType({}),
        "dexcom": MappingProxyType({}),
        "hl7v2": MappingProxyType(_HL7V2),
        "apple-health": MappingProxyType(_APPLE),
        "health-connect": MappingProxyType({}),
    }
)
"""By every format: its own spellings, and what each is in UCUM. Those that tell no
units are here with none."""
