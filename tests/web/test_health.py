import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cds_service.decision import World
from cds_service.store.records import Attempt, AuditEvent, Intake, StoredAnswer
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey, WearableAlert

Caller = Any


def test_a_server_that_runs_is_alive(ehr: Caller) -> None:
    assert ehr.http.get("/health/live").json == {"status": "alive"}


def test_a_ready_server_names_its_rules(ehr: Caller) -> None:
    ready = ehr.http.get("/health/ready").json

    assert ready["status"] == "ready"
    assert ready["profile"] == "production"
    assert ready["rulebook"] == ehr.world.rulebook.digest
    assert ready["rules"] == len(ehr.world.rulebook.rules)
    assert ready["services"] == 1


def test_a_server_without_its_database_is_alive_and_not_ready(
    build: Callable[..., World], connect: Callable[[World], Caller], tmp_path: Path
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/empty.sqlite")
    ehr = connect(replace(build(), store=store))

    response = ehr.http.get("/health/ready")

    assert response.status_code == 503
    assert response.json["resourceType"] == "OperationOutcome"
    assert ehr.http.get("/health/live").status_code == 200
    store.close()


def test_metrics_count_requests_and_cards_without_naming_anybody(
    ehr: Caller, request_body: dict[str, Any]
) -> None:
    ehr.call(request_body)
    ehr.http.open("/cds-services", method="SURPRISE")

    text = ehr.http.get("/metrics").text

    assert 'route="/cds-services/<service_id>",status="200"' in text
    assert 'indicator="warning",service="wearable-review"' in text
    assert 'method="OTHER"' in text
    assert "SURPRISE" not in text and "p1" not in text
    json.dumps(text)


def test_metrics_count_what_could_not_be_used_and_what_was_of_others(
    ehr: Caller, request_body: dict[str, Any]
) -> None:
    statements = request_body["prefetch"]["medication-statements"]["entry"]
    mine = statements[0]["resource"]
    other = {**mine, "id": "n", "subject": {"reference": "Patient/p2"}}
    sleeping = {**mine, "id": "s", "status": "sleeping"}
    misspelled = {**mine, "id": "t", "resourceType": "medicationstatement"}
    statements += [{"resource": each} for each in (other, sleeping, misspelled)]

    assert ehr.call(request_body).status_code == 200

    text = ehr.http.get("/metrics").text
    counted = [
        (line.partition("{")[0], line.rpartition("type=")[2])
        for line in text.splitlines()
        if line.startswith(("cds_resources_unusable_t", "cds_resources_foreign_t"))
    ]

    once = '"MedicationStatement"} 1.0'
    assert sorted(counted) == [
        ("cds_resources_foreign_total", once),
        ("cds_resources_unusable_total", once),
        ("cds_resources_unusable_total", once),
    ]
    assert 'reason="resourceType misspelled"' in text
    assert 'reason="status or intent cannot be read"' in text
    assert "p1" not in text and "p2" not in text and "sleeping" not in text


def test_metrics_and_log_count_alerts_that_no_consent_permits(
    build: Callable[..., World],
    connect: Callable[[World], Caller],
    request_body: dict[str, Any],
    capfdbinary: Any,
) -> None:
    ehr = connect(build())
    store, now = ehr.world.store, ehr.world.clock()
    patient = PatientKey("default", "-", "p1")
    alert = WearableAlert("a-1", patient, "irregular-rhythm", now, now, source="watch")
    event = AuditEvent(now, "delivery")
    attempt = Attempt("watch", "k")
    store.begin_delivery(attempt, "digest", now)
    store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake((alert,)), event, now
    )

    ehr.call(request_body)

    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [each["withheld"] for each in lines if "withheld" in each] == [1]
    counted = 'cds_wearable_alerts_withheld_total{service="wearable-review"} 1.0'
    assert counted in ehr.http.get("/metrics").text
