import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds_service.ehr.fixtures import Played, Unsaved, build_case, load_case, save_case
from cds_service.ehr.prefetch import Prefetched
from cds_service.protocol.conformance import Reply

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
SERVER = "http://127.0.0.1:1/fhir"
PATIENT = {"resourceType": "Patient", "id": "1", "birthDate": "1958-03-14"}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "identifier": [{"value": "2026-01-01"}],
    "subject": {"reference": f"{SERVER}/Patient/1"},
    "effectiveDateTime": "2026-11-22T09:30:00.250Z",
    "issued": "2026-11-21T10:29:59-05:00",
    "note": [{"text": "@home"}],
    "valueDateTime": "2026",
}
SEARCH = {
    "resourceType": "Bundle",
    "type": "searchset",
    "entry": [{"fullUrl": f"{SERVER}/Observation/o", "resource": OBSERVATION}],
}
REQUEST: dict[str, Any] = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"patientId": "1"},
    "prefetch": {"patient": PATIENT, "observations": SEARCH},
    "fhirServer": SERVER,
    "fhirAuthorization": {"access_token": "secret-token"},
}
CARDS = {
    "cards": [
        {
            "summary": "Since 2026-11-22",
            "indicator": "info",
            "suggestions": [{"label": "Do it"}],
        }
    ]
}


def played(
    body: Any = CARDS, status: int = 200, secrets: tuple[str, ...] = (), **more: Any
) -> Played:
    chart = Prefetched(values=dict(REQUEST["prefetch"]), **more)
    reply = Reply(status, {}, json.dumps(body).encode())
    return Played(REQUEST, chart, reply, NOW, SERVER, secrets)


def test_a_case_that_was_saved_plays_on_another_day(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "case"

    written = save_case(folder, played())

    later = load_case(folder, NOW.replace(month=12))
    assert later.request == {
        name: REQUEST[name] for name in ("hook", "hookInstance", "context")
    }
    resources = [each["resource"] for each in later.chart["entry"]]
    assert resources[0]["birthDate"] == "1958-04-13"
    assert resources[1] == {
        **OBSERVATION,
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-12-22T09:30:00Z",
        "issued": "2026-12-21T15:29:59Z",
        "note": [{"text": " @home"}],
    }
    assert later.expected == {
        "status": 200,
        "cards": [
            {
                "summary": "Since 2026-11-22",
                "indicator": "info",
                "suggestions": ["Do it"],
            }
        ],
    }
    assert {each.stat().st_mode & 0o777 for each in written} == {0o600}
    text = "".join(each.read_text() for each in written)
    assert SERVER not in text and "secret-token" not in text


def test_what_was_not_read_whole_is_kept_as_it_was_sent() -> None:
    files = build_case(played(left_out={"conditions": "500"}))

    assert files["request.json"]["prefetch"].keys() == {"patient", "observations"}
    assert SERVER not in json.dumps(files)


def test_a_refusal_is_kept_by_its_words() -> None:
    outcome = {"issue": [{"details": {"text": "Missing."}}, {"code": "x"}, 3]}

    assert build_case(played(outcome, 412))["response.json"] == {
        "status": 412,
        "outcome_contains": ["Missing."],
    }


@pytest.mark.parametrize("body", [[], {"cards": 3}, {"cards": [3]}, "x"])
def test_an_answer_of_another_shape_is_kept_as_far_as_it_goes(body: Any) -> None:
    assert build_case(played(body))["response.json"] == {"status": 200, "cards": []}


def test_nothing_is_overwritten_and_no_secret_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(Unsaved, match="holds something already"):
        save_case(tmp_path, played())
    with pytest.raises(Unsaved, match="no folder"):
        save_case(tmp_path / "file", played())
    with pytest.raises(Unsaved, match="the token stands in"):
        save_case(tmp_path / "new", played(secrets=("Do it",)))
    assert not (tmp_path / "new").exists()
