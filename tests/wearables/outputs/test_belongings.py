"""What belongs to an Observation: the Device and the Provenance."""

from datetime import UTC, datetime
from typing import Any

from cds_service.fhir.models import check_resource
from cds_service.wearables.outputs.belongings import (
    device_named,
    device_resource,
    provenance_resource,
)
from cds_service.wearables.outputs.naming import Naming
from cds_service.wearables.outputs.observations import OutputFrame
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.summaries import DaySummary

from .things import FRAME, NAMING, PATIENT, SHIPPED, a_day, an_episode

NOW = datetime(2026, 11, 22, 13, 15, tzinfo=UTC)


def provenance(thing: WearableAlert | DaySummary, frame: OutputFrame = FRAME) -> Any:
    return provenance_resource(thing, ("e",), ["Observation/1"], frame, NOW)


def parts(told: Any) -> list[Any]:
    return [(each["type"]["coding"][0]["code"], each["who"]) for each in told["agent"]]


def test_a_device_is_named_and_is_the_patients() -> None:
    told = device_resource("Ana's watch", FRAME)

    assert told["deviceName"] == [{"name": "Ana's watch", "type": "user-friendly-name"}]
    assert told["patient"] == {"reference": "Patient/123"}
    assert told["identifier"] == [
        {"system": "https://cds.example.org/device", "value": told["id"]}
    ]
    assert check_resource(told) == []


def test_one_watch_of_one_patient_is_one_device() -> None:
    other = OutputFrame(PatientKey("default", "-", "124"), NAMING, SHIPPED)
    ids = [device_resource("Watch", each)["id"] for each in (FRAME, FRAME, other)]

    assert ids[0] == ids[1] != ids[2]


def test_the_device_of_a_day_is_the_one_that_told_most() -> None:
    assert device_named(a_day(devices=("Watch", "Phone"))) == "Watch"
    assert device_named(a_day(devices=())) == ""
    assert device_named(an_episode(device="Ring")) == "Ring"


def test_provenance_names_the_patient_the_device_and_this_server() -> None:
    told = provenance(an_episode())

    assert parts(told) == [
        ("author", {"reference": "Patient/123"}),
        ("assembler", {"reference": "Device/watch-1", "display": "Watch"}),
        (
            "transmitter",
            {
                "identifier": {
                    "system": "urn:ietf:rfc:3986",
                    "value": "https://cds.example.org",
                }
            },
        ),
    ]
    assert told["target"] == [{"reference": "Observation/1"}]
    assert told["recorded"] == "2026-11-22T13:15:00Z"
    assert check_resource(told) == []


def test_without_a_device_there_is_no_assembler() -> None:
    told = provenance(an_episode(device=""), OutputFrame(PATIENT, NAMING, SHIPPED))

    assert [part for part, _ in parts(told)] == ["author", "transmitter"]


def test_what_was_worked_out_is_told_from_what_a_source_has_told() -> None:
    activities = [
        provenance(each)["activity"]["coding"][0]["code"]
        for each in (an_episode(), a_day(), an_episode(origin="vendor"))
    ]

    assert activities == ["transform", "transform", "receive"]


def test_provenance_names_the_sources() -> None:
    told = provenance(a_day(sources=("google", "garmin")))

    assert [each["what"]["identifier"]["value"] for each in told["entity"]] == [
        "google",
        "garmin",
    ]
    assert check_resource(told) == []


def test_names_of_a_server_without_an_address_are_uuids() -> None:
    naming = Naming("urn:uuid:1f0c2a8e-7c51-4f3a-9d1b-0a2b3c4d5e6f")

    assert naming.system("observation").startswith("urn:uuid:")
    assert naming.system("observation") != naming.system("device")
    assert naming.id(PATIENT, "observation", "a", "b") != naming.id(
        PATIENT, "observation", "a|b"
    )
