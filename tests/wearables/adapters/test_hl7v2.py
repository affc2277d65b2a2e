"""HL7 v2: what devices and engines send as ORU^R01, and what of that is no reading."""

from typing import Any

import pytest

from cds_service.protocol.errors import Unprocessable
from cds_service.wearables.adapters.hl7v2.messages import MOST_PARTS, decode
from cds_service.wearables.adapters.hl7v2.observations import adapt
from cds_service.wearables.samples import (
    Device,
    Flag,
    LeftOut,
    Removal,
    Sample,
    SourceWearer,
)

from .sources import CATALOGUE, Source

AT = "20261122080000-0500"


def message(*segments: str, head: str = "", pid: str = "12345^^^HOSP^MR") -> str:
    start = head or (
        "MSH|^~\\&|MON|ICU|CDS|HOSP|20261122080100-0500||ORU^R01^ORU_R01|M-1|P|2.5.1"
    )
    return "\r".join([start, f"PID|1||{pid}", "OBR|1||O-1^MON|VS", *segments])


def obx(
    code: str = "8867-4^Heart rate^LN",
    value: str = "74",
    unit: str = "/min",
    *,
    kind: str = "NM",
    marks: str = "",
    status: str = "F",
    at: str = AT,
    method: str = "",
    device: str = "",
) -> str:
    told = ["OBX", "1", kind, code, "", value, unit, "", marks, "", "", status]
    return "|".join([*told, "", "", at, "", "", method, device])


def read(body: Any, source: Source = Source()) -> list[Any]:
    return list(adapt(body, source, CATALOGUE))


@pytest.mark.parametrize("told", ["-999", "-999.0", "-99.9", "-100"])
def test_a_sentinel_of_a_device_is_no_reading(told: str) -> None:
    (item,) = read(message(obx(value=told)))

    assert isinstance(item, LeftOut)
    assert (item.reason, item.rejected) == ("sentinel", False)


@pytest.mark.parametrize("mark", ["DEMO", "TEST", "H~DEMO", "demo"])
def test_what_is_marked_as_a_demonstration_is_no_reading(mark: str) -> None:
    (item,) = read(message(obx(marks=mark)))

    assert (item.reason, item.rejected) == ("demo", False)


@pytest.mark.parametrize("purpose", ["T", "D"])
def test_a_message_for_training_or_debugging_has_no_reading(purpose: str) -> None:
    head = f"MSH|^~\\&|MON||||{AT}||ORU^R01|M-1|{purpose}|2.3"

    (item,) = read(message(obx(), obx(at="20261122080500-0500"), head=head))

    assert (item.reason, item.rejected) == ("demo", False)


@pytest.mark.parametrize("mark", ["INV", "QUES", "NAV", "CALIB"])
def test_what_the_device_itself_does_not_trust_is_no_reading(mark: str) -> None:
    (item,) = read(message(obx(marks=mark)))

    assert item.reason == "no-value"


@pytest.mark.parametrize("method", ["ASET^^MDC", "MSET"])
def test_the_limit_of_an_alarm_is_no_reading(method: str) -> None:
    (item,) = read(message(obx(method=method)))

    assert item.reason == "other-kind"


def test_what_was_typed_at_the_device_is_manual() -> None:
    (sample,) = read(message(obx(method="MMEAS")))

    assert sample.flags == Flag.MANUAL


@pytest.mark.parametrize(
    ("pid", "wearer"),
    [
        ("12345^^^HOSP^MR", SourceWearer(user="HOSP|12345")),
        ("9^^^HOSP^VN~12345^^^HOSP&1.2.3&ISO^MR", SourceWearer(user="HOSP|12345")),
        ("12345^^^&1.2.3&ISO", SourceWearer(user="1.2.3|12345")),
        ("12345", SourceWearer(user="12345")),
        ('""', SourceWearer()),
        ("", SourceWearer()),
    ],
)
def test_whose_it_is_stands_in_pid_3_with_the_number_of_the_hospital_first(
    pid: str, wearer: SourceWearer
) -> None:
    (sample,) = read(message(obx(device="SN-1^^2.25.7^ISO"), pid=pid))

    assert (sample.wearer, sample.device) == (wearer, Device("2.25.7|SN-1"))


def test_a_device_tells_itself_once_for_what_stands_below_it() -> None:
    itself = obx("1^X^MDC", "", "", status="X", device="SN-1")

    _, sample = read(message(itself, obx()))

    assert sample.device == Device("SN-1")


def test_a_device_of_one_order_is_none_of_the_next() -> None:
    order = "OBR|2||O-2^MON|VS"

    _, sample = read(message(obx(device="SN-1"), order, obx()))

    assert sample.device == Device()


def test_a_hub_that_sends_by_itself_is_the_device() -> None:
    head = f"MSH|^~\\&|HUB^0A1B2CFFFE3D4E5F^EUI-64||||{AT}||ORU^R01|M|P|2.6"

    (sample,) = read(message(obx(), head=head, pid=""))

    assert sample.device == Device("0A1B2CFFFE3D4E5F", "HUB")


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("147842^MDC_ECG_HEART_RATE^MDC", "264864^MDC_DIM_BEAT_PER_MIN^MDC"),
        ("0002-4182^HR^MDIL", "0004-0aa0^bpm^MDIL"),
        ("HR^Heart rate^99MON^8867-4^Heart rate^LN", "bpm^^L^/min^^UCUM"),
        ("8867-4^^LN", "{beats}/min"),
        ("8867-4^^LN", "x^BPM^L"),
    ],
)
def test_codes_and_units_are_those_of_loinc_mdc_and_devices(
    code: str, unit: str
) -> None:
    (sample,) = read(message(obx(code, unit=unit)))

    assert (sample.metric, sample.value, sample.unit) == ("heart-rate", 74.0, "/min")


@pytest.mark.parametrize(
    ("kind", "value", "marks", "number", "comparator"),
    [
        ("SN", ">^400", "", 400.0, ">"),
        ("SN", "<=^40", "", 40.0, "<"),
        ("SN", "^112", "", 112.0, ""),
        ("SN", "=^112", "", 112.0, ""),
        ("NM", "> 400", "", 400.0, ">"),
        ("NM", "400", ">", 400.0, ">"),
        ("ST", "112", "", 112.0, ""),
        ("CQ", "112^mg/dL", "", 112.0, ""),
    ],
)
def test_a_number_may_be_a_bound(
    kind: str, value: str, marks: str, number: float, comparator: str
) -> None:
    glucose = obx("2339-0^Glucose^LN", value, "mg/dL", kind=kind, marks=marks)

    (sample,) = read(message(glucose))

    assert (sample.value, sample.comparator) == (number, comparator)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("SN", "^70^-^90", "other-kind"),
        ("SN", "<>^70", "sentinel"),
        ("NM", "", "no-value"),
        ("NM", '""', "no-value"),
        ("ST", "asystole", "no-value"),
        ("NM", "70~72", "other-kind"),
        ("NA", "1^2^3", "other-kind"),
        ("CWE", "1^one^L", "other-kind"),
    ],
)
def test_what_is_no_single_number_is_left_out(
    kind: str, value: str, reason: str
) -> None:
    (item,) = read(message(obx(value=value, kind=kind)))

    assert isinstance(item, LeftOut)
    assert item.reason == reason


@pytest.mark.parametrize("status", ["D", "W"])
def test_what_is_deleted_or_was_another_patients_is_taken_back(status: str) -> None:
    (item,) = read(message(obx(value='""', status=status)))

    assert isinstance(item, Removal)
    assert (item.metric, item.start) == ("heart-rate", item.end)
    assert item.wearer.user == "HOSP|12345"


@pytest.mark.parametrize("status", ["X", "I", "N", "O"])
def test_what_could_not_be_measured_is_no_reading(status: str) -> None:
    (item,) = read(message(obx(status=status)))

    assert item.reason == "no-value"


def test_a_correction_holds_instead_of_what_was_told_before() -> None:
    (first,) = read(message(obx()))
    head = "MSH|^~\\&|MON||||20261122090000-0500||ORU^R01|M-2|P|2.5.1"
    (second,) = read(message(obx(value="70", status="C"), head=head))

    assert second.key == first.key
    assert second.revision > first.revision


@pytest.mark.parametrize(
    ("at", "start", "local"),
    [
        ("20261122080000-0500", "2026-11-22T08:00:00-05:00", True),
        ("20261122183000.0000+0530", "2026-11-22T18:30:00+05:30", True),
        ("202611221300+0000", "2026-11-22T13:00:00+00:00", True),
        ("20261122140000", "2026-11-22T14:00:00+01:00", True),
    ],
)
def test_a_time_without_an_offset_is_in_the_zone_of_the_source(
    at: str, start: str, local: bool
) -> None:
    (sample,) = read(message(obx(at=at)), Source(time_zone="Europe/Vienna"))

    assert (sample.start.isoformat(), sample.local) == (start, local)


@pytest.mark.parametrize("at", ["20261122140000", "2026", "yesterday", "2026112214"])
def test_a_time_of_which_nobody_knows_when_it_was_is_rejected(at: str) -> None:
    (item,) = read(message(obx(at=at)))

    assert (item.reason, item.rejected) == ("time", True)


def test_the_order_tells_the_time_of_what_has_none_of_its_own() -> None:
    order = "OBR|2||O-2^MON|VS|||20261122070000-0500"
    first, second = read(message(obx(), order, obx(at="")))

    assert [each.start.hour for each in (first, second)] == [8, 7]


def test_two_numbers_of_one_metric_device_and_time_are_one_reading() -> None:
    pulse = obx("149530^MDC_PULS_OXIM_PULS_RATE^MDC", "75", "bpm")

    first, second = read(message(obx(), pulse))

    assert isinstance(first, Sample)
    assert (second.reason, second.rejected) == ("other-kind", False)


def test_any_delimiters_that_the_header_tells_are_read() -> None:
    odd = message(obx(device="SN-1^^2.25.7"), pid="1\\S\\2^^^HOSP^MR")
    odd = odd.translate(str.maketrans("|^~\\&", "#*!?%"))

    (sample,) = read(odd)

    assert sample.wearer.user == "HOSP|1*2"
    assert sample.device.id == "2.25.7|SN-1"


def test_what_is_escaped_is_meant_as_it_is_read() -> None:
    pid = "A\\F\\B\\T\\C\\X44\\\\Zmark\\^^^HOSP^MR"

    (sample,) = read(message(obx(), pid=pid))

    assert sample.wearer.user == "HOSP|A|B&CD"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\n\n"])
def test_any_end_of_a_segment_is_one(end: str) -> None:
    assert len(read(message(obx()).replace("\r", end))) == 1


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("", "utf-8"), ("", "cp1252")],
)
def test_characters_are_those_of_msh_18(charset: str, encoding: str) -> None:
    head = f"MSH|^~\\&|MON||||{AT}||ORU^R01|M|P|2.5.1||||||{charset}"
    raw = message(obx(), head=head, pid="ä1^^^HOSP^MR").encode(encoding)

    (sample,) = read(decode(raw))

    assert sample.wearer.user == "HOSP|ä1"


def test_of_a_file_with_several_messages_each_is_read() -> None:
    later = message(obx(at="20261122090000-0500"), pid="2^^^HOSP^MR")
    admission = "MSH|^~\\&|ADT||||1||ADT^A01|A|P|2.3\rPID|1||3"
    envelope = (
        f"FHS|^~\\&\rBHS|^~\\&\r{message(obx())}\r{admission}\r{later}\rBTS|3\rFTS|1"
    )

    first, refused, second = read(envelope)

    assert [each.wearer.user for each in (first, second)] == ["HOSP|12345", "HOSP|2"]
    assert (refused.reason, refused.problem.expression) == ("malformed", "$[1]")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "PID|1||2",
        "hello",
        {"resourceType": "Observation"},
        "MSH",
        "MSH|",
        "MSH|^~\\&|A||||1||ADT^A01|1|P|2.3\rPID|1||2",
        "MSH|^~\\&|A||||1||ORU^R40|1|P|2.6\rPID|1||2",
        "MSH|^~\\&" + "|" * MOST_PARTS,
    ],
)
def test_what_is_no_message_of_results_is_refused(body: Any) -> None:
    with pytest.raises(Unprocessable):
        read(body)
