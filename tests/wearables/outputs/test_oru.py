"""What leaves as HL7 v2: episodes and days as ORU^R01."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from cds_service.wearables.adapters.hl7v2.observations import adapt
from cds_service.wearables.outputs.observations import (
    day_observations,
    episode_observation,
)
from cds_service.wearables.outputs.oru import (
    Engine,
    OruReport,
    build_message,
    build_report,
    control_id,
    read_noted,
)
from cds_service.wearables.samples import Sample
from cds_service.wearables.telling import PatientIdentity, ToldAs

from ..adapters.sources import Source
from .things import FRAME, LATER, PATIENT, SHIPPED, a_day, an_episode

NOW = datetime(2026, 11, 22, 16, 15, tzinfo=UTC)
ADA = PatientIdentity(PATIENT, "12345", "HOSP")
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6")
STEPS = a_day()


def report_of(thing: Any = None, coding: str = "loinc", device: str = "") -> OruReport:
    if thing is None or hasattr(thing, "type"):
        known = thing or an_episode()
        told = [episode_observation(known, ("episode", "k"), "final", FRAME)]
    else:
        told = list(
            day_observations(thing, ("day", "k"), "final", FRAME, LATER).values()
        )
    report = build_report("a1b2", told, device, coding)
    assert report
    return report


def written(
    report: OruReport,
    status: ToldAs = ToldAs.FINAL,
    identity: PatientIdentity = ADA,
    engine: Engine = Engine(),
    **more: Any,
) -> list[str]:
    text = build_message(report, status, identity, engine, "ID1", NOW, **more)
    return text.split("\r")[:-1]


def test_an_episode_is_one_order_with_a_line_for_each_value() -> None:
    assert written(report_of(device="Watch")) == [
        "MSH|^~\\&|CDS-SERVICE||||20261122161500+0000||ORU^R01^ORU_R01|ID1|P|2.5.1"
        "||||||UNICODE UTF-8",
        "PID|1||12345^^^HOSP^MR||^^^^^^U",
        "OBR|1||a1b2^CDS-SERVICE|high-heart-rate^High heart rate while inactive^L"
        "|||20261122080000-0500|20261122081200-0500|||||||||||||||||F",
        "OBX|1|NM|limit-of-the-alert^limit of the alert^L|1|120"
        "|/min^beats/minute^UCUM|||||F|||20261122080000-0500"
        "|||^sustained-high-heart-rate|Watch",
        "OBX|2|NM|8867-4^Heart rate, highest^LN|1|131|/min^beats/minute^UCUM"
        "|||||F|||20261122080000-0500|||^sustained-high-heart-rate|Watch",
        "OBX|3|NM|8867-4^Heart rate, median^LN|2|126|/min^beats/minute^UCUM"
        "|||||F|||20261122080000-0500|||^sustained-high-heart-rate|Watch",
        "OBX|4|NM|share-of-the-time-that-readings-speak-for"
        "^share of the time that readings speak for^L|1|92|%^%^UCUM"
        "|||||F|||20261122080000-0500|||^sustained-high-heart-rate|Watch",
        "OBX|5|NM|number-of-readings^number of readings^L|1|12"
        "||||||F|||20261122080000-0500|||^sustained-high-heart-rate|Watch",
    ]


def test_a_day_of_steps_is_told_in_the_code_and_unit_of_a_day() -> None:
    *_, order, steps = written(report_of(STEPS))

    assert order.startswith("OBR|1||a1b2^CDS-SERVICE|41950-7^Steps of the day^LN|||")
    assert "|20261121000000-0500|20261121235959-0500|" in order
    assert "|41950-7^Steps of the day^LN|1|6120|/d^steps per day^UCUM|" in steps


def test_an_engine_that_wants_mdc_is_told_in_mdc() -> None:
    lines = written(report_of(coding="mdc"))

    assert "|147842^Heart rate, highest^MDC|1|131|" in lines[4]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", ToldAs)
@pytest.mark.parametrize("thing", [an_episode(), STEPS, an_episode(end=None)])
def test_every_message_is_valid_in_its_version(
    version: str, status: ToldAs, thing: Any
) -> None:
    engine = Engine(version, enhanced=True)
    text = build_message(report_of(thing, device="W"), status, ADA, engine, "1", NOW)

    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)

    assert parsed.validate()
    assert parsed.msh.msh_12.value == version


@pytest.mark.parametrize(
    ("status", "order", "letter"),
    [
        (ToldAs.FINAL, "F", "F"),
        (ToldAs.AMENDED, "C", "C"),
        (ToldAs.ENTERED_IN_ERROR, "X", "D"),
    ],
)
def test_how_a_thing_stands_is_told_of_it_and_of_every_value(
    status: ToldAs, order: str, letter: str
) -> None:
    lines = [each.split("|") for each in written(report_of(), status)]

    assert [each[25] for each in lines if each[0] == "OBR"] == [order]
    assert {each[11] for each in lines if each[0] == "OBX"} == {letter}
    if letter == "D":
        assert {each[5] for each in lines if each[0] == "OBX"} == {'""'}


def test_what_was_told_and_is_told_no_more_is_taken_back() -> None:
    before = report_of()
    after = report_of(an_episode(median=None))
    kept = {(each.code, each.part) for each in after.results}
    gone = tuple(it for it in before.results if (it.code, it.part) not in kept)

    last = written(after, ToldAs.AMENDED, gone=gone)[-1].split("|")

    assert (last[3], last[4], last[5], last[11]) == (
        "8867-4^Heart rate, median^LN",
        "2",
        '""',
        "D",
    )


def test_what_is_noted_is_enough_to_take_it_back() -> None:
    report = report_of(STEPS)

    again, *whose = read_noted(report.noted("ID1", ADA))
    lines = written(again, ToldAs.ENTERED_IN_ERROR)

    assert whose == ["12345", "HOSP"]
    assert '|41950-7^Steps of the day^LN|1|""||||||D|||20261121000000-0500' in lines[3]
    assert "6120" not in report.noted("ID1", ADA)


@pytest.mark.parametrize(
    ("authority", "written_as"),
    [
        ("HOSP", "HOSP"),
        ("1.2.40.0", "&1.2.40.0&ISO"),
        ("", ""),
        ("A&B|C", "A\\T\\B\\F\\C"),
    ],
)
def test_the_hospitals_number_stands_with_whose_it_is(
    authority: str, written_as: str
) -> None:
    identity = PatientIdentity(PATIENT, "12^3", authority)

    assert written(report_of(), identity=identity)[1] == (
        f"PID|1||12\\S\\3^^^{written_as}^MR||^^^^^^U"
    )


def test_no_text_ends_a_field_or_a_segment() -> None:
    lines = written(report_of(device="Wa|tch\rMSH|^~\\&|Ünï"))

    assert len(lines) == 8
    assert lines[3].endswith("|Wa\\F\\tch\\X0D\\MSH\\F\\\\S\\\\R\\\\E\\\\T\\\\F\\Ünï")


def test_an_engine_of_enhanced_mode_is_asked_for_a_commit_alone() -> None:
    assert (
        "|P|2.5.1|||AL|NE||UNICODE UTF-8"
        in written(report_of(), engine=Engine(enhanced=True))[0]
    )


def test_a_control_id_is_the_same_of_the_same_and_short_enough_for_every_version() -> (
    None
):
    ids = {control_id("engine", "p1", "episode", "k", str(rev)) for rev in range(1000)}

    assert control_id("engine", "p1", "episode", "k", "7") in ids
    assert {len(each) for each in ids} == {20} and len(ids) == 1000


def test_a_report_is_otherwise_where_anything_of_it_is() -> None:
    assert report_of().digest == report_of().digest
    assert report_of().digest != report_of(an_episode(value=132.0)).digest
    later = an_episode(end=LATER)
    assert report_of().digest != report_of(later).digest


def test_what_is_told_is_read_again_by_our_own_reader() -> None:
    text = "\r".join(written(report_of(STEPS, device="Watch")))

    (steps,) = adapt(text, Source(), SHIPPED)

    assert isinstance(steps, Sample)
    assert (steps.metric, steps.value, steps.unit) == ("steps", 6120.0, "{steps}")
    assert (steps.wearer.user, steps.device.id) == ("HOSP|12345", "Watch")
