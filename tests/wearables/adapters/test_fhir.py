"""FHIR: Observations alone and in Bundles, of devices, servers and JupyterHealth."""

import json
from base64 import b64encode
from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.fhir import adapt
from cds_service.wearables.samples import (
    Device,
    Flag,
    LeftOut,
    Notice,
    Removal,
    SourceWearer,
    Stat,
)

from .sources import CATALOGUE, Source, identity

LOINC = "http://loinc.org"
NEW_YORK = Source(time_zone="America/New_York")
BASE = "https://ehr.example.org/fhir"
EVENTS = "http://hl7.org/fhir/uv/phr/CodeSystem/observation-pghd-codes"
POINT = {
    "header": {
        "uuid": "6e5db887-4a20-4222-8998-2972af6fb091",
        "schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"},
        "user_id": "u-7",
    },
    "body": {
        "heart_rate": {"value": 112, "unit": "beats/min"},
        "effective_time_frame": {"date_time": "2026-11-22T08:05:00-05:00"},
    },
}


def coded(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(loinc: str = "8867-4", **told: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": coded(loinc),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-22T08:05:00-05:00",
        "valueQuantity": {"value": 112, "unit": "/min"},
        **told,
    }


def attached(point: Any = POINT, **told: Any) -> dict[str, Any]:
    data = b64encode(json.dumps(point).encode()).decode()
    attachment = {"contentType": "application/json", "data": data}
    found = observation(**{"valueAttachment": attachment, **told})
    del found["valueQuantity"], found["effectiveDateTime"]
    return found


def bundle(*resources: Any, **told: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries, **told}


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


@pytest.mark.parametrize(
    "quantity",
    [
        {"value": 6120, "unit": "steps", "code": "{steps}"},
        {"value": 6120, "unit": "steps"},
        {"value": 6120, "code": "steps"},
        {"value": 6120, "unit": "1"},
        {"value": 6120, "unit": "steps/day", "code": "/d"},
        {"value": 6120, "code": "{steps}/d"},
        {"value": 6120},
    ],
)
@pytest.mark.parametrize("code", ["41950-7", "55423-8"])
def test_steps_come_with_any_unit_that_can_be_understood(
    code: str, quantity: Any
) -> None:
    (sample,) = read(observation(code, valueQuantity=quantity))

    assert (sample.metric, sample.value, sample.unit) == ("steps", 6120.0, "{steps}")


@pytest.mark.parametrize(
    "quantity",
    [
        {
            "value": 112,
            "unit": "bpm",
            "code": "264864",
            "system": "urn:iso:std:iso:11073",
        },
        {"value": 112, "unit": "beats/minute", "code": "{beats}/min"},
        # The grammar of UCUM, which is asked for this, takes a second to load.
        pytest.param(
            {"value": 112, "unit": "beats/min", "code": "odd"}, marks=pytest.mark.slow
        ),
    ],
)
def test_what_a_code_does_not_tell_of_a_unit_its_text_may(quantity: Any) -> None:
    (sample,) = read(observation(valueQuantity=quantity))

    assert (sample.value, sample.unit) == (112.0, "/min")


def test_a_number_without_a_unit_is_a_count_and_nothing_else() -> None:
    (item,) = read(observation(valueQuantity={"value": 61}))
    (share,) = read(observation("59408-5", valueQuantity={"value": 97}))

    assert (item.reason, share.reason) == ("unit", "unit")


def test_a_code_is_known_by_the_oid_of_its_system() -> None:
    code = coded("8867-4", "urn:oid:2.16.840.1.113883.6.1")
    (sample,) = read(observation(code=code))

    assert sample.metric == "heart-rate"


def test_a_coding_that_nobody_knows_does_not_hide_one_that_is_known() -> None:
    coding = [{"system": "urn:x", "code": "hr"}, 7, *coded("8867-4")["coding"]]
    (sample,) = read(observation(code={"coding": coding}))

    assert sample.metric == "heart-rate"


def test_the_components_of_a_blood_pressure_are_readings_of_their_own() -> None:
    parts = [
        {"code": coded("8480-6"), "valueQuantity": {"value": 162, "unit": "mmHg"}},
        {"code": coded("8462-4"), "valueQuantity": {"value": 101, "unit": "mmHg"}},
        {"code": coded("8357-6"), "valueString": "auscultation"},
        "odd",
    ]
    panel = observation("85354-9", component=parts)
    del panel["valueQuantity"]

    systolic, diastolic = read(panel)

    assert (systolic.metric, systolic.value) == ("systolic-blood-pressure", 162.0)
    assert diastolic.path == "$.component[1].valueQuantity"


def test_a_component_that_is_wrong_does_not_touch_the_other() -> None:
    parts = [
        {"code": coded("8480-6"), "valueQuantity": {"value": 162, "unit": "kg"}},
        {"code": coded("8462-4"), "valueQuantity": {"value": 101, "unit": "mmHg"}},
    ]
    panel = observation("85354-9", component=parts)
    del panel["valueQuantity"]

    left, diastolic = read(panel)

    assert (left.reason, left.problem.expression) == (
        "unit",
        "$.component[0].valueQuantity",
    )
    assert diastolic.value == 101.0


def test_two_parts_of_one_metric_do_not_replace_each_other_unseen() -> None:
    part = {"code": coded("8867-4"), "valueQuantity": {"value": 61, "unit": "/min"}}
    first, second = read(observation(component=[part]))

    assert first.value == 112.0
    assert (second.reason, second.problem.expression) == ("malformed", "$.component[0]")


def test_an_identifier_tells_an_observation_whatever_its_id() -> None:
    number = [{"system": "urn:watch", "value": "hr-1"}]
    first, second = read(
        bundle(
            observation(identifier=number, id="1", meta={"versionId": "1"}),
            observation(identifier=number, id="2", meta={"versionId": "2"}),
        )
    )

    assert first.source_id == "urn:watch|hr-1"
    assert identity(first) == identity(second)
    assert first.revision < second.revision


def test_an_id_counts_only_where_a_server_has_kept_it() -> None:
    (made_up,) = read(observation(id="hr-1"))
    (kept,) = read(observation(id="hr-1", meta={"versionId": "1"}))

    assert (made_up.source_id, kept.source_id) == ("", "Observation/hr-1")


def test_the_later_of_two_versions_has_the_higher_revision() -> None:
    metas = [
        {"versionId": "2"},
        {"lastUpdated": "2026-11-22T13:06:00Z", "versionId": "1"},
        {"lastUpdated": "2026-11-22T13:07:00.5Z", "versionId": "abc"},
        {"versionId": "W/1"},
    ]

    told = [read(observation(id="a", meta=meta))[0].revision for meta in metas]

    assert told == [2, 1795352760000, 1795352820500, 0]


def test_entered_in_error_takes_back_by_its_identifier_without_a_value() -> None:
    wrong = {
        "resourceType": "Observation",
        "status": "entered-in-error",
        "identifier": [{"system": "urn:watch", "value": "hr-1"}],
        "subject": {"reference": "Patient/p1"},
    }
    (item,) = read(wrong)

    assert item == Removal(SourceWearer("p1"), "", "urn:watch|hr-1", path="$")


def test_entered_in_error_without_an_identifier_takes_back_by_its_time() -> None:
    (item,) = read(observation(status="entered-in-error"))

    assert (item.metric, item.start, item.source_id) == ("heart-rate", item.end, "")


def test_a_deletion_in_a_transaction_takes_back() -> None:
    deletion = {"request": {"method": "DELETE", "url": "Observation/hr-1"}}
    other = {"request": {"method": "DELETE", "url": "Patient/p1"}}

    removal, left = read({"resourceType": "Bundle", "entry": [deletion, other]})

    assert removal == Removal(source_id="Observation/hr-1", path="$.entry[0]")
    assert left.reason == "other-kind"


@pytest.mark.parametrize("status", ["final", "amended", "corrected", "preliminary"])
def test_what_was_measured_is_read(status: str) -> None:
    assert read(observation(status=status))[0].value == 112.0


def test_status_unknown_is_read_since_a_mapping_writes_it_always() -> None:
    assert read(observation(status="unknown"))[0].value == 112.0


@pytest.mark.parametrize(
    ("status", "reason"),
    [("registered", "no-value"), ("cancelled", "no-value"), (None, "malformed")],
)
def test_what_was_not_measured_is_left_out(status: Any, reason: str) -> None:
    assert read(observation(status=status))[0].reason == reason


@pytest.mark.parametrize(
    ("comparator", "value", "flag"),
    [
        ("<", 40, Flag.BELOW),
        ("<=", 40, Flag.BELOW),
        (">", 400, Flag.ABOVE),
        (">=", 400, Flag.ABOVE),
    ],
)
def test_beyond_what_the_sensor_measures_is_kept_as_a_bound(
    comparator: str, value: int, flag: Flag
) -> None:
    beyond = {"value": value, "unit": "mg/dL", "comparator": comparator}
    (item,) = read(observation("99504-3", valueQuantity=beyond))

    assert (item.value, item.flags) == (value, flag)


@pytest.mark.parametrize("comparator", ["ad", "~", 1, ["<"]])
def test_what_another_comparator_says_is_no_number(comparator: Any) -> None:
    odd = {"value": 40, "unit": "mg/dL", "comparator": comparator}
    (item,) = read(observation("99504-3", valueQuantity=odd))

    assert (item.reason, item.rejected) == ("sentinel", False)


def test_jupyterhealth_hides_the_reading_in_an_attachment() -> None:
    (sample,) = read(
        attached(code=coded("omh:heart-rate:2.0", "https://w3id.org/openmhealth"))
    )

    assert (sample.metric, sample.value, sample.unit) == ("heart-rate", 112.0, "/min")
    assert sample.wearer == SourceWearer("p1")
    assert sample.path == "$.valueAttachment.data.body.heart_rate"


def test_an_attachment_converted_anew_is_the_same_reading() -> None:
    again = {**POINT, "header": {**POINT["header"], "uuid": "another"}}
    first, second = read(
        bundle(
            attached(identifier=[{"value": "6e5db887"}]),
            attached(again, identifier=[{"value": "another"}]),
        )
    )

    assert identity(first) == identity(second)


def test_an_attachment_without_a_subject_is_of_the_user_of_its_header() -> None:
    (sample,) = read(attached(subject=None))

    assert sample.wearer == SourceWearer(user="u-7")


def test_an_attachment_entered_in_error_takes_its_reading_back() -> None:
    (item,) = read(attached(status="entered-in-error"))

    assert isinstance(item, Removal)
    assert item.metric == "heart-rate"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "other-kind"),
        ("not base64!", "malformed"),
        ("bm90IEpTT04=", "malformed"),
        (b64encode(b"[" * 100_000).decode(), "malformed"),
        ("QUFB" * 100_000, "other-kind"),
        (b64encode(b"[1]").decode(), "malformed"),
        (b64encode(b"\xff").decode(), "malformed"),
    ],
)
def test_an_attachment_that_holds_no_point_is_said(data: Any, reason: str) -> None:
    (item,) = read(attached(valueAttachment={"data": data}))

    assert isinstance(item, LeftOut)
    assert (item.reason, item.problem.expression) == (reason, "$.valueAttachment.data")


@pytest.mark.parametrize(
    ("subject", "wearer"),
    [
        (None, SourceWearer()),
        ({"reference": "Patient/p1"}, SourceWearer("p1")),
        ({"reference": "Patient/p1/_history/2"}, SourceWearer("p1")),
        ({"reference": f"{BASE}/Patient/p1"}, SourceWearer("p1")),
        (
            {"identifier": {"system": "urn:mrn", "value": "12345"}},
            SourceWearer(user="urn:mrn|12345"),
        ),
    ],
)
def test_the_subject_says_who_wore_it(subject: Any, wearer: SourceWearer) -> None:
    (sample,) = read(observation(subject=subject), Source(fhir_base=BASE))

    assert sample.wearer == wearer


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "https://other.example.org/fhir/Patient/p1"},
        {"reference": "Group/g1"},
        {"reference": "Patient/a b"},
        {"reference": "#inner"},
        {"display": "Jane Doe"},
        "Patient/p1",
    ],
)
def test_a_subject_that_is_nobody_here_leaves_it_out(subject: Any) -> None:
    (item,) = read(observation(subject=subject), Source(fhir_base=BASE))

    assert (item.reason, item.problem.expression) == ("wearer", "$.subject")


def test_a_patient_who_comes_with_it_is_told_by_an_identifier() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"value": "12345"}]}
    (contained,) = read(
        observation(
            subject={"reference": "#inner"}, contained=[{**patient, "id": "inner"}]
        )
    )
    with_it = observation(subject={"reference": "urn:uuid:1"})
    entries = [{"fullUrl": "urn:uuid:1", "resource": patient}, {"resource": with_it}]
    _, in_bundle = read({"resourceType": "Bundle", "entry": entries})

    assert contained.wearer == in_bundle.wearer == SourceWearer(user="|12345")


def test_a_day_is_the_whole_of_it_where_the_zone_is_known() -> None:
    daily = observation(
        "41950-7",
        effectiveDateTime="2026-11-01",
        valueQuantity={"value": 6120, "unit": "steps"},
    )
    (left,) = read(daily)
    (sample,) = read(daily, NEW_YORK)

    assert left.reason == "time"
    assert (sample.end - sample.start).total_seconds() == 25 * 3600
    assert (sample.stat, sample.flags) == (Stat.TOTAL, Flag.DAY_TOTAL)


def test_a_period_of_days_ends_with_its_last() -> None:
    period = {"start": "2026-11-20", "end": "2026-11-21"}
    body = observation(effectivePeriod=period)
    del body["effectiveDateTime"]

    (sample,) = read(body, NEW_YORK)

    assert (sample.end - sample.start).days == 2


@pytest.mark.parametrize(
    "told",
    [
        {"effectiveDateTime": None},
        {"effectiveDateTime": "2026-11"},
        {"effectiveDateTime": "2026-11-22T08:05:00"},
        {"effectivePeriod": {"start": "2026-11-22T08:05:00-05:00"}},
        {
            "effectivePeriod": {
                "start": "2026-11-22T08:05:00Z",
                "end": "2026-11-22T08:04:00Z",
            }
        },
    ],
)
def test_without_a_time_and_its_zone_there_is_no_reading(told: Any) -> None:
    (item,) = read(observation(**told))

    assert item.reason == "time"


def test_the_device_is_told_by_its_identifier_or_reference() -> None:
    (sample,) = read(observation(device={"reference": "Device/w-1", "display": "W 4"}))

    assert sample.device == Device("Device/w-1", "W 4")


def test_a_heart_event_is_a_notice_and_may_be_taken_back() -> None:
    event = observation(code=coded("highHeartRateEvent", EVENTS))
    (notice,) = read(event)
    (retracted,) = read({**event, "status": "entered-in-error"})

    assert isinstance(notice, Notice)
    assert (notice.type, notice.retracted) == ("high-heart-rate", False)
    assert retracted.retracted
    assert notice.id == retracted.id


def test_what_else_a_bundle_holds_is_let_pass_and_said() -> None:
    items = read(bundle({"resourceType": "Patient"}, observation("2160-0"), None))

    assert [each.reason for each in items] == ["other-kind"] * 3
    assert not any(each.rejected for each in items)


@pytest.mark.parametrize("entry", [None, []])
def test_a_bundle_of_nothing_is_nothing(entry: Any) -> None:
    assert read({"resourceType": "Bundle", "entry": entry}) == []


@pytest.mark.parametrize("body", [None, [], {}, {"resourceType": "Patient"}])
def test_what_is_no_observation_is_refused_as_a_whole(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)


def test_an_event_with_a_long_identifier_has_an_id_that_an_alert_can_have() -> None:
    number = [{"system": "urn:watch", "value": "x" * 200}]
    event = observation(code=coded("lowHeartRateEvent", EVENTS), identifier=number)
    (notice,) = read(event)

    assert len(notice.id) == 32


def test_what_is_wrong_with_one_entered_in_error_is_said() -> None:
    (item,) = read(observation(status="entered-in-error", valueQuantity={"value": 1}))

    assert (item.reason, item.rejected) == ("unit", True)


@pytest.mark.parametrize("labels", [[{"code": "HTEST"}], [7, {"code": "HTEST"}]])
def test_what_is_marked_as_test_data_is_no_reading(labels: Any) -> None:
    (item,) = read(observation(meta={"security": labels}))

    assert (item.reason, item.rejected) == ("demo", False)


def test_another_label_of_security_leaves_a_reading_one() -> None:
    (sample,) = read(observation(meta={"security": [{"code": "R"}]}))

    assert sample.value == 112.0
