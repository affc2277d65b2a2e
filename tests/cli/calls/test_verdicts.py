import io
import json

import pytest
from rich.console import Console

from cds_service.cli.calls.call import print_violations, size, timing
from cds_service.ehr.fixtures import as_text
from cds_service.protocol.conformance import Obligation, Reply, Violation


def printed(*found: Violation) -> list[str]:
    out = io.StringIO()
    print_violations(Console(file=out, width=100), found)
    return out.getvalue().splitlines()


def test_the_most_binding_comes_first_with_its_id_and_place() -> None:
    assert printed(
        Violation("R-11", Obligation.NOTE, "Cache-Control", "lacks no-store."),
        Violation("C-4", Obligation.MUST, "$.cards[0].indicator", "is [red]."),
        Violation("E-2", Obligation.SHOULD, "", "the body\x1b is no OperationOutcome."),
    ) == [
        "Violations of CDS Hooks (1 must, 1 should, 1 note):",
        "  must   C-4   $.cards[0].indicator is [red].",
        "  should E-2   the body\ufffd is no OperationOutcome.",
        "  note   R-11  Cache-Control lacks no-store.",
    ]


def test_a_long_list_is_cut_and_counted() -> None:
    many = [
        Violation("J-4", Obligation.MUST, f"$.a[{n}]", "is null.") for n in range(100)
    ]

    assert printed(*many)[-1] == "  … and 40 more"
    assert len(printed(*many)) == 62


def test_nothing_seen_is_said() -> None:
    assert printed() == ["No violation of CDS Hooks found."]


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (1200, "1.2 kB"), (3_400_000, "3.4 MB")]
)
def test_a_size_is_said_as_people_do(count: int, text: str) -> None:
    assert size(count) == text


def test_the_times_of_an_answer_are_in_one_line() -> None:
    reply = Reply(200, {}, b"abc", 0.012, 0.0155)

    assert timing(reply) == "status 200, 16 ms (first byte 12 ms), 3 bytes"


def test_half_a_character_can_be_written_all_the_same() -> None:
    assert json.loads(as_text({"a": "é\ud800"})) == {"a": "é?"}
