"""What is asked of a particular server, what it says, and what came of it."""

from cds_service.fhir.chart import SourceQuery, SourceState

LONG = 60.0
LOINC = "http://loinc.org|"
ORDERS = "MedicationRequest?patient={{context.patientId}}"
STATEMENTS = "MedicationStatement?patient={{context.patientId}}"
CONDITIONS = "Condition?patient={{context.patientId}}"
PULSES = (
    "Observation?patient={{context.patientId}}"
    f"&code={LOINC}8867-4,{LOINC}40443-4,{LOINC}8480-6&_sort=-date"
)
KEYS = {
    "MedicationRequest": "medication_requests",
    "MedicationStatement": "medication_statements",
    "Condition": "conditions",
    "Observation": "observations",
    "Consent": "consents",
}
INTENTS = {
    *("order", "plan", "original-order", "reflex-order", "filler-order"),
    *("instance-order", "proposal", "option"),
}


def query_of(template):
    source = KEYS[template.partition("?")[0]]
    return SourceQuery(source.replace("_", "-"), source, template)


def outcome(code="", text="", **members):
    issue = {"severity": "error", "code": code, "details": {"text": text}} | members
    return {"resourceType": "OperationOutcome", "issue": [issue]}


SILENT = [b"", b"<html><p>Bad request</p></html>", {"error": "bad request"}, outcome()]


def row(kind, identifier, **members):
    return {
        "resourceType": kind,
        "id": identifier,
        "subject": {"reference": "Patient/p1"},
    } | members


def ids(source):
    return sorted(each["id"] for each in source.resources)


def loaded(source):
    return source.state is SourceState.LOADED and source.why == ""


def asked(fhir, name, kind=None):
    """What was asked for in a parameter, request by request."""
    return [
        each.query.get(name, [None])[0]
        for each in fhir.asked
        if each.path == (kind or each.path)
    ]
