"""A server that keeps its answers by URL for a while, as HAPI does for a minute: what
was written just now is read just now.
"""

import pytest

from cds_service.fhir.chart import SourceQuery
from cds_service.fhir.gather import gather

LONG = 60.0
CONSENTS = SourceQuery("consents", "consents", "Consent?patient={{context.patientId}}")


@pytest.fixture
def caching(fhir):
    """A server that gives an answer again unless it is told not to."""
    fhir.kept = {}
    return fhir


@pytest.fixture
def read(hook_request, caching, reader_for):
    """Reads the chart once more."""

    def run(*queries):
        request = hook_request(server=caching)
        return gather(queries, request, reader_for(request), LONG)

    return run


def order(identifier, **members):
    return {
        "resourceType": "MedicationRequest",
        "id": identifier,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
    } | members


def consent(kind, **members):
    return {
        "resourceType": "Consent",
        "id": kind,
        "status": "active",
        "patient": {"reference": "Patient/p1"},
        "provision": {"type": kind},
    } | members


def ids(chart, source):
    return [each["id"] for each in chart.sources[source].resources]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("conditions", "Condition"),
        ("medication_requests", "MedicationRequest"),
        ("medication_statements", "MedicationStatement"),
        ("observations", "Observation"),
        ("consents", "Consent"),
    ],
)
def test_what_was_recorded_a_moment_ago_is_in_the_chart(
    caching, read, bundle, source, kind
):
    rows = [
        {"resourceType": kind, "id": each, "subject": {"reference": "Patient/p1"}}
        for each in ("first", "second")
    ]
    query = SourceQuery(source, source, f"{kind}?patient={{{{context.patientId}}}}")
    caching.routes[kind] = bundle(rows[0])
    assert ids(read(query), source) == ["first"]

    caching.routes[kind] = bundle(*rows)

    assert ids(read(query), source) == ["first", "second"]


def test_a_medicine_that_was_corrected_a_moment_ago_is_read_as_it_is_now(
    caching, read, bundle
):
    orders = SourceQuery(
        "medication-requests",
        "medication_requests",
        "MedicationRequest?patient={{context.patientId}}",
    )
    named = order("m1", medicationReference={"reference": "Medication/d1"})
    caching.routes["MedicationRequest"] = bundle(named)
    for text in ("metoprolol", "atenolol"):
        medication = {"resourceType": "Medication", "id": "d1", "code": {"text": text}}
        caching.routes["Medication"] = bundle(medication)

        chart = read(orders)

        assert chart.medications["Medication/d1"]["code"] == {"text": text}


def test_a_patient_who_died_a_moment_ago_is_not_read_as_alive(caching, read):
    patient = SourceQuery("patient", "patient", "Patient/{{context.patientId}}")
    caching.routes["Patient/p1"] = {"resourceType": "Patient", "id": "p1"}
    read(patient)

    died = {"deceasedDateTime": "2026-11-22T13:59:30Z"}
    caching.routes["Patient/p1"] = caching.routes["Patient/p1"] | died

    assert read(patient).patient.items() >= died.items()


@pytest.mark.parametrize(
    "after",
    [
        [consent("permit", status="inactive")],
        [consent("permit"), consent("deny")],
        [],
    ],
    ids=["withdrawn", "denied", "removed"],
)
def test_a_consent_that_changed_a_moment_ago_no_longer_holds(
    caching, read, bundle, after
):
    caching.routes["Consent"] = bundle(consent("permit"))
    read(CONSENTS)

    caching.routes["Consent"] = bundle(*after)

    assert list(read(CONSENTS).sources["consents"].resources) == after


def test_every_page_is_as_it_is_now(caching, read, bundle):
    """The order of the second page was stopped between two calls."""
    orders = SourceQuery("mr", "medication_requests", "MedicationRequest?patient=p1")
    pages = {
        status: [
            bundle(order("m1"), following="?page=2"),
            bundle(order("m2", status=status)),
        ]
        for status in ("active", "stopped")
    }
    seen = []
    for status in ("active", "stopped"):
        caching.routes["MedicationRequest"] = lambda handler, own=pages[status]: own[
            "page=2" in handler.path
        ]
        seen.append(
            [
                each["status"]
                for each in read(orders).sources["medication_requests"].resources
            ]
        )

    assert seen == [["active", "active"], ["active", "stopped"]]


def test_every_request_of_a_call_says_so(caching, read, bundle):
    named = order("m1", medicationReference={"reference": "Medication/d1"})
    caching.routes |= {
        "Consent": bundle(),
        "MedicationRequest": bundle(named),
        "Medication": bundle(),
    }

    read(CONSENTS, SourceQuery("m", "medication_requests", "MedicationRequest?x=p1"))

    assert caching.paths == ["Consent", "Medication", "MedicationRequest"]
    assert {each.headers["Cache-Control"] for each in caching.asked} == {"no-cache"}
