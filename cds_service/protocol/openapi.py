"""The HTTP interface as an OpenAPI 3.1 document, made of the schemas that judge it.

It describes what is sent and answered by the letter. What real clients get wrong
without harm is accepted beyond it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .examples import EXPECTED, build_example_call
from .schemas import read_schema
from .services import Service

Document = dict[str, Any]

_NAMES = {
    "hook-request": "HookRequest",
    "response": "CdsResponse",
    "discovery": "Discovery",
    "feedback": "Feedback",
    "operation-outcome": "OperationOutcome",
}
"""Schema files, and what they are called in the document."""


def build_openapi(
    services: Iterable[Service], release: str, url: str, sources: Iterable[str] = ()
) -> Document:
    """Return the description of a server at *url* that offers *services*.

    Args:
        sources: Formats in which vendors deliver readings, by the name in their path.
    """
    offered = sorted(services, key=lambda each: (each.id, each.hook))
    ids = list(dict.fromkeys(service.id for service in offered))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cds-service",
            "summary": "CDS Hooks decision support",
            "version": release,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "paths": {
            "/cds-services": {"get": _discovery()},
            "/cds-services/{id}": {
                "parameters": [_choice("id", "A service of discovery.", ids)],
                "post": _call(offered),
            },
            "/cds-services/{id}/feedback": {
                "parameters": [_choice("id", "A service of discovery.", ids)],
                "post": _feedback(),
            },
            "/wearables/v1/alerts": {"post": _alerts()},
            "/wearables/v1/consents": {"post": _consents()},
            "/wearables/v1/links": {"post": _list_of("links", "Say whose wrist it is")},
            "/wearables/v1/samples": {"post": _list_of("samples", "Deliver readings")},
            **_sources(sorted(sources)),
            "/health": {"get": _told("What this worker serves, for people.", "503")},
            "/health/live": {"get": _told("Whether the process runs.")},
            "/health/ready": {"get": _told("Whether it can answer.", "503")},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _told("This description.")},
        },
        "components": {
            "securitySchemes": {
                "clientJwt": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Signed by the client for this URL, used once.",
                }
            },
            "schemas": {name: _schema(file) for file, name in _NAMES.items()},
        },
    }


def _schema(file: str) -> Document:
    """A schema with its references made to fit where it now stands."""
    schema = read_schema(file)
    schema.pop("$schema")
    here = f"#/components/schemas/{_NAMES[file]}/$defs/"
    document: Document = json.loads(json.dumps(schema).replace('"#/$defs/', f'"{here}'))
    return document


def _choice(name: str, told: str, among: Sequence[str]) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": told,
        "schema": {"type": "string", "enum": list(among)},
    }


def _discovery() -> Document:
    return {
        "operationId": "discover",
        "summary": "What is offered, and which data to send along.",
        "security": list(_OPEN_OR_SIGNED),
        "responses": _answers("Discovery", "The services.", "401", "429", "503"),
    }


def _call(services: Sequence[Service]) -> Document:
    calls = {
        f"{each.id} on {each.hook}": {
            "summary": each.title,
            "x-path": {"id": each.id},
            "value": build_example_call(each),
        }
        for each in services
    }
    return {
        "operationId": "call",
        "summary": "Ask a service about the patient whose chart is open.",
        "security": list(_OPEN_OR_SIGNED),
        "requestBody": _body("HookRequest", calls | _wrong("no call")),
        "responses": _answers("CdsResponse", "The cards; none is an answer.", *_REFUSED)
        | _failures("412"),
    }


def _feedback() -> Document:
    return {
        "operationId": "giveFeedback",
        "summary": "Say what became of cards.",
        "security": list(_OPEN_OR_SIGNED),
        "requestBody": _body(
            "Feedback",
            {"nothing to say": {"summary": "No card.", "value": {"feedback": []}}}
            | _wrong("no feedback"),
        ),
        "responses": {"200": _json({"type": "object"}, "Recorded.")}
        | _failures(*_REFUSED),
    }


_TIME: Document = {
    "type": "string",
    "description": "A date and time with an offset (RFC 3339, RFC 9557). `Z` and"
    " `-00:00` tell the instant only, not what the wearer's clock showed.",
}


def _alerts() -> Document:
    text, number, time = {"type": "string"}, {"type": "number"}, _TIME
    limit = {"op": text, "value": number, "unit": text}
    item = {
        "type": "object",
        "required": ["id", "patient", "type", "start"],
        "properties": {
            **dict.fromkeys(("id", "patient", "type", "unit", "stat", "device"), text),
            **dict.fromkeys(("start", "end"), time),
            "time_zone": {**text, "description": "The wearer's, of the IANA database."},
            "utc_offset": {**text, "description": "Of the wearer's clock, as -05:00."},
            **dict.fromkeys(("value", "coverage"), number),
            "threshold": {"oneOf": [number, {"type": "object", "properties": limit}]},
            **dict.fromkeys(("n", "rev"), {"type": "integer", "minimum": 0}),
            "status": {"enum": ["open", "closed", "retracted"]},
            "origin": {"enum": ["vendor"]},
        },
    }
    schema = {
        "type": "object",
        "required": ["alerts"],
        "properties": {"alerts": {"type": "array", "items": item}},
    }
    return _delivery("deliverAlerts", "Deliver wearable alerts", schema, {"alerts": []})


def _consents() -> Document:
    kinds = {"enum": ["Consent", "Bundle"]}
    schema = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": kinds},
    }
    told = "Tell of patients' FHIR Consents to wearable data"
    nothing = {"resourceType": "Bundle", "type": "collection"}
    return _delivery("deliverConsents", told, schema, nothing)


def _list_of(name: str, told: str) -> Document:
    items = {"type": "array", "items": {"type": "object"}}
    schema = {"type": "object", "required": [name], "properties": {name: items}}
    return _delivery(f"deliver{name.capitalize()}", told, schema, {name: []})


def _sources(names: Sequence[str]) -> Document:
    if not names:
        return {}
    proved = "proved as the vendor does it, and answered as the vendor wants it"
    return {
        "/wearables/v1/sources/{format}": {
            "parameters": [_choice("format", "What the vendor writes.", names)],
            "post": {
                "operationId": "deliverSource",
                "summary": f"Deliver readings in a vendor's own format, {proved}.",
                "responses": {
                    "200": {"description": "Taken in, for vendors who want this."},
                    "202": _json({"type": "object"}, "Stored, item by item."),
                    "204": {"description": "Taken in, for vendors who want this."},
                }
                | _failures(*_REFUSED, "403", "409", "422"),
            },
        }
    }


def _delivery(
    name: str, told: str, schema: Mapping[str, Any], nothing: Mapping[str, Any]
) -> Document:
    """One kind of delivery; its example delivers *nothing*, to try a signature."""
    header = {"in": "header", "required": True, "schema": {"type": "string"}}
    empty = {"summary": "Nothing.", EXPECTED: "422", "value": dict(nothing)}
    body = {"schema": dict(schema), "examples": {"nothing": empty}}
    return {
        "operationId": name,
        "summary": f"{told}, signed as Standard Webhooks asks.",
        "parameters": [
            {**header, "name": f"webhook-{name}"}
            for name in ("id", "timestamp", "signature")
        ],
        "requestBody": {"required": True, "content": {_MEDIA: body}},
        "responses": {"202": _json({"type": "object"}, "Stored, item by item.")}
        | _failures(*_REFUSED, "403", "409", "422"),
    }


def _told(summary: str, *failures: str) -> Document:
    told = {"200": _json({"type": "object"}, "So it is.")}
    return {"summary": summary, "responses": told | _failures(*failures)}


def _metrics() -> Document:
    text = {"text/plain": {"schema": {"type": "string"}}}
    told = "What is counted, as Prometheus reads it."
    return {
        "summary": told,
        "responses": {"200": {"description": told, "content": text}},
    }


_MEDIA = "application/json"
_OPEN_OR_SIGNED: Sequence[Mapping[str, Any]] = ({"clientJwt": []}, {})
"""Without a token only where the server asks for none."""
_REFUSED = ("400", "401", "404", "413", "415", "429", "500", "503")
_REASONS: Mapping[str, str] = {
    "400": "The message is wrong; every wrong field is named.",
    "401": "The caller is not recognised; it is not said why.",
    "403": "The source may not deliver this, or no consent of the patient permits it.",
    "404": "There is no such service.",
    "409": "The same delivery is in progress.",
    "412": "Data that the service requires could not be had.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "No item could be stored, or the key was used with another body.",
    "429": "Too many calls; Retry-After says when to come back.",
    "500": "A fault of this server.",
    "503": "Not now: the call could not be recorded, or the server is too busy.",
}


def _answers(schema: str, told: str, *failures: str) -> Document:
    return {"200": _json(_reference(schema), told)} | _failures(*failures)


def _failures(*statuses: str) -> Document:
    outcome = _reference("OperationOutcome")
    return {status: _json(outcome, _REASONS[status]) for status in statuses}


def _json(schema: Mapping[str, Any], told: str) -> Document:
    return {"description": told} | _content(schema)


def _body(schema: str, examples: Mapping[str, Any]) -> Document:
    body = {"schema": _reference(schema), "examples": dict(examples)}
    return {"required": True, "content": {_MEDIA: body}}


def _wrong(what: str) -> Document:
    told = "Every field that is missing is named."
    return {what: {"summary": told, EXPECTED: "400", "value": {}}}


def _content(schema: Mapping[str, Any]) -> Document:
    return {"content": {_MEDIA: {"schema": dict(schema)}}}


def _reference(schema: str) -> Document:
    return {"$ref": f"#/components/schemas/{schema}"}
