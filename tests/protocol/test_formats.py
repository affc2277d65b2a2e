"""The text formats: what is taken, and what would break out of a URL or a search."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.protocol.formats import (
    is_id,
    is_opaque,
    is_reference,
    is_reverse_domain,
    mend,
    parse_base_url,
    parse_instant,
    parse_uuid,
)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "a.b-c",
        "x" * 194,
        "x" * 255,
        "under_score",
        "non\u2011ascii",
        "Łukasz",
        "a:b",
    ],
)
def test_q_9_ids_are_taken_beyond_the_letters_and_the_length_of_fhir(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "x" * 256, ".", "..", "1/2", "1?x=y", "1#x", "1%2F", "1&_id=2", "1 2", "1\n"]
    + [
        "1\x00",
        "1\t2",
        "1,2",
        "1$2",
        "\u202e1",
        "\ud800",
        "p1\ufffd",
        "1|2",
        "1\\2",
        "<1>",
        "{{1}}",
    ],
)
def test_q_9_ids_that_break_a_url_or_a_search_are_refused(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    "text", ["Practitioner/example", "Device/1", "ServiceRequest/a.b-c_d"]
)
def test_q_9_a_reference_is_a_type_and_an_id(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize(
    "text",
    ["", "example", "/1", "Practitioner/", "Practitioner/Practitioner/1", "1/Patient"]
    + ["https://ehr.example.org/Practitioner/1", "Practitioner/1 ", "Prä/1", "A/.."],
)
def test_q_9_anything_else_is_no_reference(text: str) -> None:
    assert not is_reference(text)


@pytest.mark.parametrize(
    ("text", "uuid"),
    [
        (
            "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        ),
        (
            "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA",
            "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        ),
        (
            "urn:uuid:D1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        ),
        ("d1577c69dfbe44adba6d3e05e953b2ea", None),
        ("d1577c69-dfbe-44ad-ba6d-3e05e953b2ea\n", None),
        ("x", None),
    ],
)
def test_a_uuid_is_read_in_any_letters(text: str, uuid: str | None) -> None:
    assert parse_uuid(text) == uuid


@pytest.mark.parametrize("text", ["x", "call 7", "a" * 255])
def test_an_opaque_identifier_is_any_line_of_text(text: str) -> None:
    assert is_opaque(text)


@pytest.mark.parametrize(
    "text", ["", " ", "a" * 256, "a\nb", "\x00", "\ud800", "a\ufffd"]
)
def test_an_opaque_identifier_can_be_stored_and_printed(text: str) -> None:
    assert not is_opaque(text)


def test_h_2_names_of_ones_own_are_in_reverse_domain_notation() -> None:
    assert is_reverse_domain("org.example.patient-transmogrify")
    assert is_reverse_domain("davinci-crd.configuration") is False
    assert not is_reverse_domain("patient-transmogrify")
    assert not is_reverse_domain("org.")
    assert not is_reverse_domain("org.example\n")
    assert is_reverse_domain("org." + "x" * 251)
    assert not is_reverse_domain("org." + "x" * 252)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://ehr.example.org/fhir", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir/", "https://ehr.example.org/fhir"),
        ("HTTPS://EHR.example.org:443/FHIR", "https://ehr.example.org/FHIR"),
        ("http://localhost:8080/fhir", "http://localhost:8080/fhir"),
        ("http://[::1]:8080/fhir", "http://[::1]:8080/fhir"),
        ("https://ehr.example.org", "https://ehr.example.org"),
        ("https://ehr.example.org/a..b/.c", "https://ehr.example.org/a..b/.c"),
        ("https://h/" + "x" * 2038, "https://h/" + "x" * 2038),
    ],
)
def test_one_fhir_server_has_one_name(text: str, url: str) -> None:
    assert parse_base_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "ehr.example.org", "/fhir", "ftp://ehr.example.org", "file:///etc/passwd"]
    + ["https://", "https:///fhir", "https://me@ehr.example.org", "https://@h/fhir"]
    + ["https://h/fhir?x=1", "https://h/fhir?", "https://h/fhir#x", "https://h/fhir#"]
    + [
        "https://h/../admin",
        "https://h/%2e%2E/admin",
        "https://h/ fhir",
        "https://h\\x",
    ]
    + ["https://h:99999/fhir", "https://h:x/fhir", "https://[::1/fhir", "https://h/\n"]
    + ["https://h/" + "x" * 2039],
)
def test_a_base_url_that_can_be_read_in_two_ways_is_refused(text: str) -> None:
    assert parse_base_url(text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-03-01T12:00:00Z", datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ("2025-03-01t12:00:00z", datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ("2025-03-01T12:00:00.5Z", datetime(2025, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        (
            "2025-03-01T12:00:00.123456789Z",
            datetime(2025, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        ),
        ("2025-03-01T12:00:00+02:00", datetime(2025, 3, 1, 10, tzinfo=UTC)),
        ("2025-03-01T00:00:00-05:30", datetime(2025, 3, 1, 5, 30, tzinfo=UTC)),
        ("2025-03-01T12:00:00+02:59", datetime(2025, 3, 1, 9, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_f_12_an_instant_is_read_to_utc(text: str, moment: datetime) -> None:
    assert parse_instant(text) == moment
    assert parse_instant(text).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2025-03-01",
        "2025-03-01T12:00:00",
        "2025-03-01 12:00:00Z",
        "20250301T120000Z",
    ]
    + ["2025-03-01T12:00Z", "2025-02-30T12:00:00Z", "2025-03-01T24:00:00Z"]
    + ["2025-03-01T12:00:61Z", "2025-03-01T12:00:00+0200", "2025-03-01T12:00:00+02:60"]
    + ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:60Z"]
    + ["2025-03-01T12:00:00+99:00", "٢025-03-01T12:00:00Z", "2025-03-01T12:00:00Z\n"],
)
def test_f_12_anything_else_is_no_instant(text: str) -> None:
    assert parse_instant(text) is None


@settings(max_examples=200)
@given(st.text())
def test_no_text_makes_a_format_fail(text: str) -> None:
    for read in (is_id, is_reference, is_opaque, parse_uuid, parse_instant):
        read(text)
    parse_base_url("https://" + text)


@pytest.mark.parametrize(
    ("sent", "kept", "number"),
    [
        (b"whole \xf0\x9f\xab\x80", "whole \U0001fac0", 0),
        (
            rb"whole \ud83d\ude00 \\ud83d \ufffd",
            r"whole \ud83d\ude00 \\ud83d \ufffd",
            0,
        ),
        (b"whole \xef\xbf\xbd", "whole \ufffd", 0),
        (rb"x\ud83d", r"x\ufffd", 1),
        (rb"\uDC00\uD83D", r"\ufffd\ufffd", 2),
        (rb"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00", 1),
        (rb"\\\ud83d", r"\\\ufffd", 1),
        (b"x\xed\xa0\xbd", "x\ufffd", 1),
        (b"\xed\xb8\x80x", "\ufffdx", 1),
        (b"\xed\xa0\xbd\xed\xb8\x80", "\U0001f600", 1),
        (b'"x\xf0\x9f\x92"', '"x\ufffd"', 1),
        (b'"x\xf0"', '"x\ufffd"', 1),
        (b'"Caf\xc3"', '"Caf\ufffd"', 1),
        (b'"\x98\x80x"', '"\ufffd\ufffdx"', 2),
        (b"\xf0\x9f\xab\x80 \xef\xbf\xbd \xf0\x9f", "\U0001fac0 \ufffd \ufffd", 1),
        (rb"\ud83d" + b"\xe2\x82", "\\ufffd\ufffd", 2),
    ],
)
def test_half_a_character_is_replaced_and_counted(
    sent: bytes, kept: str, number: int
) -> None:
    assert mend(sent) == (kept, number)


@pytest.mark.parametrize("sent", [b"\xff", b"M\xfcller", b"\xc0\x80", b"\xf5\x80"])
def test_what_no_character_of_utf_8_has_is_another_encoding(sent: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        mend(sent)


def test_replacing_takes_time_in_proportion_to_the_length() -> None:
    for piece in (b"\xf0", b"\xed\xa0\xbd", rb"\ud83d", b"\\", b"\xef\xbf\xbd\xf0"):
        assert mend(piece * 200_000)[1] in (0, 200_000)
