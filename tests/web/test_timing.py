"""Where the time of a call went, as a vendor's browser and the log see it."""

import json
import re
from typing import Any

import pytest

from cds_service.decision.stopwatch import Stopwatch
from cds_service.web.notes import in_milliseconds, render_timing

Body = dict[str, Any]
Caller = Any
ORIGIN = "https://chart.example.org"
ENTRY = re.compile(r'([a-z]+);dur=([0-9.]+)(?:;desc="([a-z0-9-]+)")?')


def entries(header: str) -> list[tuple[str, str]]:
    """Name and description of every entry, in order; each must be well-formed."""
    found = [ENTRY.fullmatch(each) for each in header.split(", ")]
    assert all(found), header
    return [(each[1], each[3] or "") for each in found if each]


def test_a_call_tells_what_it_spent_where(ehr: Caller, request_body: Body) -> None:
    answer = ehr.call(request_body)

    assert [name for name, _ in entries(answer.headers["Server-Timing"])] == [
        "auth",
        "gather",
        "evaluate",
        "cards",
        "record",
        "total",
    ]


def test_a_refusal_of_a_known_client_tells_it_too(
    ehr: Caller, request_body: Body
) -> None:
    del request_body["prefetch"]

    answer = ehr.call(request_body)

    assert answer.status_code == 412
    told = [name for name, _ in entries(answer.headers["Server-Timing"])]
    assert told == ["auth", "gather", "total"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
def test_a_stranger_is_told_nothing(
    ehr: Caller, request_body: Body, headers: dict[str, str]
) -> None:
    answer = ehr.call(request_body, signed=False, headers=headers)

    assert answer.status_code == 401
    assert "Server-Timing" not in answer.headers
    assert "Timing-Allow-Origin" not in answer.headers


def test_s_22_a_listed_origin_may_read_it(ehr: Caller, request_body: Body) -> None:
    answer = ehr.call(request_body, headers={"Origin": ORIGIN})

    assert answer.headers["Timing-Allow-Origin"] == ORIGIN
    assert "Server-Timing" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", ["https://evil.example.org", f"{ORIGIN}.evil.net"])
def test_s_22_another_origin_may_not(
    ehr: Caller, request_body: Body, origin: str
) -> None:
    answer = ehr.call(request_body, headers={"Origin": origin})

    assert "Timing-Allow-Origin" not in answer.headers


def test_the_log_line_has_the_same_in_milliseconds(
    build: Any,
    connect: Any,
    request_body: Body,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    connect(build()).call(request_body)

    lines = [json.loads(each) for each in capfdbinary.readouterr().out.splitlines()]
    (spent,) = [each["spent"] for each in lines if "spent" in each]
    assert list(spent) == ["auth", "gather", "evaluate", "cards", "record"]
    assert all(each >= 0 for each in spent.values())


def test_what_was_fetched_is_told_by_its_prefetch_key() -> None:
    watch = Stopwatch()
    watch.enter("gather")
    watch.note_fetch("conditions", 0.05)
    watch.note_fetch("medications", 0.02)
    watch.note_fetch("medications", 0.01)
    watch.enter("record")
    watch.enter("")

    assert entries(render_timing(watch)) == [
        ("gather", ""),
        ("fhir", "conditions"),
        ("fhir", "medications"),
        ("record", ""),
        ("total", ""),
    ]
    assert 'fhir;dur=50.0;desc="conditions"' in render_timing(watch)
    assert in_milliseconds(watch)["fhir"] == {"conditions": 50.0, "medications": 20.0}


def test_a_phase_that_is_entered_again_adds_up() -> None:
    watch = Stopwatch()
    for _ in range(3):
        watch.enter("gather")
    watch.enter("")

    assert list(watch.phases) == ["gather"]
    assert 0 <= watch.phases["gather"] <= watch.elapsed
