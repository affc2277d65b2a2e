"""MLLP frames and acknowledgements, as bytes and text."""

from datetime import UTC, datetime

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message as parse_strictly

from cds_service.wearables.adapters.hl7v2.acknowledging import (
    Acknowledged,
    MessageOutcome,
    MessageVerdict,
    acknowledge,
    list_errors,
    read_acknowledgement,
    read_header,
)
from cds_service.wearables.adapters.hl7v2.framing import Frames, FrameTooLarge, frame

NOW = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)


def taken(*pieces: bytes, limit: int = 100) -> list[bytes]:
    frames = Frames(limit)
    return [each for piece in pieces for each in frames.feed(piece)]


@pytest.mark.parametrize(
    "pieces",
    [
        (b"\x0bone\x1c\r\x0btwo\x1c\r",),
        (b"\x0bo", b"ne\x1c", b"\r\x0btwo\x1c\r"),
        tuple(bytes([each]) for each in b"\x0bone\x1c\r\x0btwo\x1c\r"),
        (b"noise\r\n\x0bone\x1c\x0btwo\x1c\r\n",),
        (b"\x0bhalf\x0bone\x1c\rnoise\x0btwo\x1c",),
    ],
)
def test_messages_are_whole_however_they_come_in_pieces(
    pieces: tuple[bytes, ...],
) -> None:
    assert taken(*pieces) == [b"one", b"two"]


def test_half_a_message_is_none() -> None:
    frames = Frames(100)

    assert list(frames.feed(b"\x0bMSH|")) == []
    assert frames.is_within


def test_a_message_that_is_too_large_ends_it_before_it_is_whole() -> None:
    with pytest.raises(FrameTooLarge) as raised:
        taken(b"\x0b" + b"x" * 60, b"x" * 41)

    assert raised.value.begun == b"x" * 100


def test_a_message_comes_out_of_its_frame_as_it_went_in() -> None:
    assert taken(frame(b"MSH|1")) == [b"MSH|1"]


def header(version: str = "2.5.1", accept: str = "", application: str = "") -> bytes:
    return (
        f"MSH|^~\\&|MON|ICU|CDS|HOSP|20261122080000-0500||ORU^R01^ORU_R01|M-7|P"
        f"|{version}|||{accept}|{application}"
    ).encode()


def answers(raw: bytes, outcome: MessageOutcome = MessageOutcome.ACCEPT) -> list[str]:
    verdict = MessageVerdict(
        outcome, "said", list_errors([("$.OBX[2].5", "unit", "a|b")])
    )
    told = acknowledge(read_header(raw), verdict, NOW, "1")
    return [each.decode() for each in told]


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6"])
@pytest.mark.parametrize("outcome", MessageOutcome)
def test_an_answer_is_valid_in_the_version_of_its_message(
    version: str, outcome: MessageOutcome
) -> None:
    (answer,) = answers(header(version), outcome)

    parsed = parse_strictly(answer, validation_level=VALIDATION_LEVEL.STRICT)

    assert parsed.validate()
    assert parsed.msa.msa_1.value == f"A{outcome}"
    assert parsed.msa.msa_2.value == "M-7"
    assert parsed.msh.msh_5.value == "MON"


def test_an_answer_to_version_2_3_tells_no_structure_yet() -> None:
    (answer,) = answers(header("2.3"))

    assert "|ACK^R01|1|P|2.3|" in answer
    assert "\rMSA|AA|M-7|said\r" in answer


@pytest.mark.parametrize(
    ("accept", "application", "outcome", "codes"),
    [
        ("", "", MessageOutcome.ACCEPT, ["AA"]),
        ("AL", "NE", MessageOutcome.ACCEPT, ["CA"]),
        ("AL", "AL", MessageOutcome.ACCEPT, ["CA", "AA"]),
        ("NE", "AL", MessageOutcome.ERROR, ["AE"]),
        ("AL", "ER", MessageOutcome.ACCEPT, ["CA"]),
        ("AL", "ER", MessageOutcome.REJECT, ["CR", "AR"]),
        ("SU", "", MessageOutcome.ERROR, []),
        ("NE", "NE", MessageOutcome.ACCEPT, []),
    ],
)
def test_in_enhanced_mode_a_sender_hears_what_it_wants_to_hear(
    accept: str, application: str, outcome: MessageOutcome, codes: list[str]
) -> None:
    told = answers(header(accept=accept, application=application), outcome)

    said = [read_acknowledgement(each.encode()) for each in told]
    assert [each.code for each in said if each] == codes


def test_what_is_wrong_is_told_with_its_place() -> None:
    (new,) = answers(header("2.6"), MessageOutcome.ERROR)
    (old,) = answers(header("2.3"), MessageOutcome.ERROR)

    assert "ERR||OBX^3^5|103^Table value not found^HL70357|E||||a\\F\\b\r" in new
    assert "ERR|OBX^3^5^103&Table value not found\r" in old


def test_the_words_of_an_answer_are_read_with_where_they_stand() -> None:
    (raw,) = answers(header(), MessageOutcome.REJECT)

    assert read_acknowledgement(raw.encode()) == Acknowledged(
        "AR", "M-7", "said; OBX-5 Table value not found a|b"
    )


@pytest.mark.parametrize("raw", [b"", b"hello", header(), b"MSH|^~\\&|", b"\xff\xfe"])
def test_what_is_no_acknowledgement_is_none(raw: bytes) -> None:
    assert read_acknowledgement(raw) is None


def test_what_is_no_message_is_answered_all_the_same() -> None:
    (raw,) = acknowledge(
        read_header(b"GET / HTTP/1.1"), MessageVerdict(MessageOutcome.REJECT), NOW, "1"
    )

    assert read_acknowledgement(raw) == Acknowledged("AR", "")
