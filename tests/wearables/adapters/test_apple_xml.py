"""Apple Health's XML as phones really wrote it."""

from collections.abc import Iterator

import pytest

from cds_service.wearables.adapters.apple_xml import (
    BrokenExport,
    Element,
    read_elements,
)

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
RECORD = '<Record type="HeartRate" value="61"/>'


def read(text: str | bytes, size: int = 7) -> list[Element]:
    raw = text.encode() if isinstance(text, str) else text
    return list(read_elements(raw[at : at + size] for at in range(0, len(raw), size)))


def test_a_record_comes_with_its_attributes_and_metadata() -> None:
    entry = '<MetadataEntry key="HKWasUserEntered" value="1"/>'
    text = f'{HEAD}<HealthData>\n <Record type="A">{entry}</Record></HealthData>'
    assert read(text) == [
        Element("Record", {"type": "A"}, {"HKWasUserEntered": "1"}, line=2)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_it_is_the_same_however_it_is_cut(size: int) -> None:
    text = f'{HEAD}<HealthData>{RECORD}<Record name="Müller &amp; 导"/></HealthData>'
    assert [each.attributes for each in read(text, size)] == [
        {"type": "HeartRate", "value": "61"},
        {"name": "Müller & 导"},
    ]


def test_a_malformed_document_type_hides_no_record() -> None:
    broken = "<!DOCTYPE HealthData [\n<!ATTLIST Record\n device CDATA #IMPLIED\n ]>\n"
    assert len(read(f"{HEAD}{broken}<HealthData>{RECORD}</HealthData>")) == 1


def test_an_entity_that_the_file_declares_is_not_known() -> None:
    bomb = '<!DOCTYPE HealthData [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    with pytest.raises(BrokenExport, match="undefined entity"):
        read(f'{HEAD}{bomb}<HealthData><Record value="&b;"/></HealthData>')


@pytest.mark.parametrize("written", ["\x0b", "&#11;", "&#xB;", "&#55296;", "\x00"])
def test_a_character_that_xml_does_not_have_becomes_a_blank(written: str) -> None:
    text = f'<HealthData><Record name="a{written}b"/></HealthData>'
    assert read(text)[0].attributes == {"name": "a b"}


def test_bytes_that_are_no_text_stop_nothing() -> None:
    raw = b'<HealthData><Record name="a\xff"/><Record name="b"/></HealthData>'
    assert [each.attributes["name"] for each in read(raw)] == ["a\ufffd", "b"]


def test_what_a_correlation_holds_is_taken_from_the_top_alone() -> None:
    pair = '<Correlation type="BloodPressure"><Record type="Systolic"/></Correlation>'
    text = f'<HealthData>{pair}<Record type="Systolic"/></HealthData>'
    assert [each.name for each in read(text)] == ["Correlation", "Record"]


def test_a_file_that_breaks_off_says_so_after_what_stood_before() -> None:
    found = read_elements([f"<HealthData>{RECORD}".encode(), b"\n<Record type="])
    assert next(found).attributes["value"] == "61"
    with pytest.raises(BrokenExport, match="line 2 after the root"):
        next(found)


def test_a_document_of_something_else_is_no_export() -> None:
    with pytest.raises(BrokenExport, match="no HealthData"):
        read('<ClinicalDocument xmlns="urn:hl7-org:v3"/>')


def test_a_file_without_an_end_of_the_prologue_is_given_up() -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"<!-- >" * 100_000

    with pytest.raises(BrokenExport, match="no HealthData"):
        list(read_elements(endless()))
    assert len(taken) < 20


def test_a_tag_without_an_end_is_given_up() -> None:
    with pytest.raises(BrokenExport, match="no end"):
        list(read_elements([b"<HealthData", b"x" * (17 * 1024 * 1024)]))
