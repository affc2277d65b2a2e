"""Readings of a simulated watch, as each format would tell them.

A format tells what it can: Nightscout glucose, the others heart rate and steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .hours import MinuteReading

WATCH, NAME = "sim-watch-1", "Simulated watch"


@dataclass(frozen=True, slots=True)
class SimulatedWearer:
    """Who wears it: a user of the source, or a patient where it knows them."""

    user: str = ""
    patient: str = ""


Body = dict[str, Any] | list[Any] | str
"""JSON; of HL7 v2 its text."""


def _named(wearer: SimulatedWearer) -> dict[str, str]:
    """The wearer by one name: the patient, or the user."""
    if wearer.patient:
        return {"patient": wearer.patient}
    return {"user": wearer.user}


def as_samples(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return a delivery in the format of the server itself."""
    whose = {name: each for name, each in _named(wearer).items() if each}
    about = {**whose, "device": {"id": WATCH, "name": NAME}}
    samples = []
    for each in readings:
        revision = {"rev": each.revision} if each.revision else {}
        samples.append(
            {
                **about,
                "metric": "heart-rate",
                "value": each.heart_rate,
                "unit": "/min",
                "start": _iso(each.at),
                **revision,
            }
        )
        if each.revision:
            continue  # what is corrected is the pulse
        # Of every minute: no steps in it are what proves rest.
        samples.append(
            {
                **about,
                "metric": "steps",
                "value": each.steps,
                "unit": "{steps}",
                "start": _iso(each.at),
                "end": _iso(each.end),
                "stat": "total",
            }
        )
    return {"samples": samples}


def as_open_mhealth(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return data points of Open mHealth."""
    points = []
    for each in readings:
        stamp = int(each.at.timestamp())
        beats = {"heart_rate": {"value": each.heart_rate, "unit": "beats/min"}}
        frame = {"date_time": _iso(each.at)}
        points.append(_point("heart-rate", "2.0", f"hr-{stamp}", wearer, beats, frame))
        if each.steps:
            steps = {"step_count": {"value": each.steps, "unit": "steps"}}
            span = {
                "time_interval": {
                    "start_date_time": _iso(each.at),
                    "end_date_time": _iso(each.end),
                }
            }
            points.append(
                _point("step-count", "3.0", f"st-{stamp}", wearer, steps, span)
            )
    return points


def _point(
    schema: str,
    version: str,
    id: str,
    wearer: SimulatedWearer,
    body: dict[str, Any],
    frame: dict[str, Any],
) -> dict[str, Any]:
    times = list(frame.values())[0]
    made = times if isinstance(times, str) else times["end_date_time"]
    header = {
        "id": f"{WATCH}-{id}",
        "creation_date_time": made,
        "schema_id": {"namespace": "omh", "name": schema, "version": version},
        "acquisition_provenance": {
            "source_name": NAME,
            "source_data_point_id": f"{WATCH}-{id}",
            "modality": "sensed",
        },
        "user_id": wearer.user or wearer.patient,
    }
    return {"header": header, "body": {**body, "effective_time_frame": frame}}


def as_fhir(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return a collection of Observations."""
    resources = [_observation(each, wearer) for each in readings]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": each} for each in resources],
    }


def _observation(reading: MinuteReading, wearer: SimulatedWearer) -> dict[str, Any]:
    stamp = int(reading.at.timestamp())
    system = "http://unitsofmeasure.org"
    whose = wearer.patient or wearer.user
    return {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:sim", "value": f"{WATCH}-hr-{stamp}"}],
        "status": "amended" if reading.revision else "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        **({"subject": {"reference": f"Patient/{whose}"}} if whose else {}),
        "effectiveDateTime": _iso(reading.at),
        "valueQuantity": {
            "value": reading.heart_rate,
            "unit": "beats/minute",
            "system": system,
            "code": "/min",
        },
        "device": {"display": NAME},
    }


def as_health_auto_export(
    readings: Sequence[MinuteReading], wearer: SimulatedWearer
) -> Body:
    """Return what the phone's app posts; it names nobody: the token tells."""
    beats, steps = [], []
    for each in readings:
        date = f"{each.at:%Y-%m-%d %H:%M:%S %z}"
        rate = each.heart_rate
        beats.append(
            {"date": date, "Min": rate, "Avg": rate, "Max": rate, "source": NAME}
        )
        if each.steps:
            steps.append({"date": date, "qty": each.steps, "source": NAME})
    metrics = [{"name": "heart_rate", "units": "count/min", "data": beats}]
    if steps:
        metrics.append({"name": "step_count", "units": "count", "data": steps})
    return {"data": {"metrics": metrics, "workouts": []}}


def as_garmin(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return a push of Garmin's: a summary of the time with the beats in it."""
    start = min(each.at for each in readings)
    end = max(each.end for each in readings)
    beats = {
        str(int((each.at - start).total_seconds())): each.heart_rate
        for each in sorted(readings, key=lambda each: each.at)
    }
    summary = {
        "userId": wearer.user or wearer.patient,
        "summaryId": f"{WATCH}-{int(start.timestamp())}",
        "startTimeInSeconds": int(start.timestamp()),
        "startTimeOffsetInSeconds": _offset(start),
        "durationInSeconds": int((end - start).total_seconds()),
        "steps": sum(each.steps for each in readings),
        "timeOffsetHeartRateSamples": beats,
    }
    return {"dailies": [summary]}


def as_nightscout(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return entries of a glucose sensor."""
    return [
        {
            "type": "sgv",
            "sgv": each.glucose,
            "date": _milliseconds(each.at),
            "dateString": _iso(each.at),
            "device": WATCH,
            "direction": "Flat",
        }
        for each in readings
        if each.glucose is not None
    ]


def as_google_fit(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return a dataset of Google Fit; it names nobody: the token tells."""
    points = [_beat(each) for each in readings]
    return {
        "minStartTimeNs": points[0]["startTimeNanos"],
        "maxEndTimeNs": points[-1]["endTimeNanos"],
        "dataSourceId": f"raw:com.google.heart_rate.bpm:sim:{WATCH}",
        "point": points,
    }


def _beat(reading: MinuteReading) -> dict[str, Any]:
    at = f"{_milliseconds(reading.at)}000000"
    return {
        "startTimeNanos": at,
        "endTimeNanos": at,
        "dataTypeName": "com.google.heart_rate.bpm",
        "value": [{"fpVal": float(reading.heart_rate), "mapVal": []}],
    }


def as_google_health(
    readings: Sequence[MinuteReading], wearer: SimulatedWearer
) -> Body:
    """Return data points of Google Health; they name nobody: the token tells."""
    source = {"platform": "FITBIT", "device": {"displayName": NAME}}
    return {
        "dataPoints": [
            {
                "dataSource": source,
                "heartRate": {
                    "sampleTime": {
                        "physicalTime": _iso(each.at.astimezone(UTC)),
                        "utcOffset": f"{_offset(each.at)}s",
                    },
                    "beatsPerMinute": str(each.heart_rate),
                },
            }
            for each in readings
        ]
    }


def as_withings(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return parts of a day of Withings; they name nobody: the token tells."""
    series = {
        str(int(each.at.timestamp())): {
            "deviceid": WATCH,
            "model": NAME,
            "heart_rate": each.heart_rate,
            "steps": each.steps,
            "duration": 60,
        }
        for each in readings
    }
    return {"status": 0, "body": {"series": series}}


def as_oura(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return the pulse as Oura tells it; it names nobody: the token tells."""
    beats = [
        {
            "bpm": each.heart_rate,
            "source": "awake",
            "timestamp": _iso(each.at.astimezone(UTC)),
        }
        for each in readings
    ]
    return {"data": beats, "next_token": None}  # nosec B105 # there is none


def as_dexcom(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return glucose values of Dexcom; they name nobody: the token tells."""
    records = [
        {
            "recordId": f"{WATCH}-{int(each.at.timestamp())}",
            "systemTime": f"{each.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
            "displayTime": _iso(each.at),
            "transmitterId": WATCH,
            "value": each.glucose,
            "status": None,
            "unit": "mg/dL",
        }
        for each in readings
        if each.glucose is not None
    ]
    return {"recordType": "egv", "recordVersion": "3.0", "records": records}


def as_hl7v2(readings: Sequence[MinuteReading], wearer: SimulatedWearer) -> Body:
    """Return an ORU^R01 of heart rates, as an integration engine passes it on."""
    made = _dtm(max(each.end for each in readings))
    segments = [
        f"MSH|^~\\&|SIMULATOR||CDS||{made}||ORU^R01^ORU_R01|{made[:14]}|P|2.5.1",
        f"PID|1||{wearer.user or wearer.patient}",
        f"OBR|1||{WATCH}|VS^Vital signs^L|||{_dtm(readings[0].at)}",
    ]
    for number, each in enumerate(readings, 1):
        status = "C" if each.revision else "F"
        told = [f"OBX|{number}|NM|8867-4^Heart rate^LN||{each.heart_rate}"]
        told += ["/min^^UCUM", "", "", "", "", status, "", "", _dtm(each.at)]
        segments.append("|".join([*told, "", "", "", WATCH]))
    return "\r".join(segments)


Dialect = Callable[[Sequence[MinuteReading], SimulatedWearer], Body]
DIALECTS: Mapping[str, Dialect] = {
    "samples": as_samples,
    "open-mhealth": as_open_mhealth,
    "fhir": as_fhir,
    "health-auto-export": as_health_auto_export,
    "garmin": as_garmin,
    "nightscout": as_nightscout,
    "google-fit": as_google_fit,
    "google-health": as_google_health,
    "withings": as_withings,
    "oura": as_oura,
    "dexcom": as_dexcom,
    "hl7v2": as_hl7v2,
}
"""By the name of the format."""


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _offset(at: datetime) -> int:
    """How far the clock is ahead of UTC, in seconds."""
    return int((at.utcoffset() or timedelta(0)).total_seconds())


def _dtm(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S%z}"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000
