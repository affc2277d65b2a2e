"""The interface as a Postman collection that checks what comes back; made of OpenAPI.

Its own, since converters of others assert nothing, invent bodies that every service
refuses, and are Node programs: this is served by a server that has Python alone. Every
example of the document is a request. None stores anything about a patient: what is
delivered is empty, and who is asked about is nobody.

Source: Postman Collection Format 2.1.0; OpenAPI 3.1.0.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..examples import EXPECTED

Json = Mapping[str, Any]

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_METHODS = ("get", "post")
_REFERENCE = "#/components/schemas/"
_SIGNED = {"webhook-id": "deliveryId", "webhook-timestamp": "deliveryTime"}
_SIGNED |= {"webhook-signature": "signature"}
_VARIABLES: Mapping[str, str] = {
    "issuer": "`iss` of the tokens, as the server's clients file has it",
    "kid": "The id of the key",
    "tenant": "`tenant` of the tokens; empty where there is none",
    "privateKey": "The private key as JWK: RSA, made to be thrown away",
    "webhookSecret": "Secret of a source of wearable data, whsec_…",
}
_READ_ME = """\
Set `baseUrl` to where the server is called, and `audience` to what it calls itself \
(`CDS_PUBLIC_URL`; most often the same). Where the server asks for tokens, `issuer`, \
`kid` and `privateKey` sign a new one for each request; `cds-service postman --key` \
writes them as an environment. Without them, 401 is expected as well. Each request \
asserts the status and the JSON Schema of what comes back. Nothing is stored about a \
patient: deliveries are empty, and calls are about nobody."""


@dataclass(frozen=True, slots=True)
class CollectionRequest:
    """One request of the collection."""

    name: str
    path: str
    """Filled."""
    method: str
    operation: Json
    expected: str
    """The status of the answer."""
    body: Any = None


def build_collection(document: Json) -> dict[str, Any]:
    """Return the collection that asks for all that an OpenAPI *document* shows."""
    url = document["servers"][0]["url"]
    told = {"baseUrl": (url, "Where the server is called")}
    told |= {"audience": (url, "What the server calls itself")}
    told |= {name: ("", meaning) for name, meaning in _VARIABLES.items()}
    info = document["info"]
    return {
        "info": {
            "name": info["title"],
            "description": _READ_ME,
            "version": info["version"],
            "schema": FORMAT,
        },
        "variable": [
            {"key": key, "value": value, "description": meaning}
            for key, (value, meaning) in told.items()
        ],
        "event": [_script("prerequest", _text("before.js"))],
        "item": [
            {"name": path, "item": [_item(each, document) for each in asked]}
            for path, item in document["paths"].items()
            if (asked := [*_list_asked(path, item)])
        ],
    }


def build_environment(
    issuer: str, kid: str, private_key: str, tenant: str = ""
) -> dict[str, Any]:
    """Return the variables that sign, as a Postman environment.

    Args:
        private_key: RSA, as the text of a JWK.
    """
    told = {"issuer": issuer, "kid": kid, "tenant": tenant, "privateKey": private_key}
    values = [
        {
            "key": key,
            "value": value,
            "enabled": True,
            "type": "secret" if key == "privateKey" else "default",
        }
        for key, value in told.items()
    ]
    return {
        "name": f"{kid} of {issuer}",
        "values": values,
        "_postman_variable_scope": "environment",
    }


def _list_asked(path: str, item: Json) -> Iterator[CollectionRequest]:
    """Every example of every operation; without examples one, if it needs no body."""
    choices = {
        each["name"]: each["schema"]["enum"]
        for each in item.get("parameters", ())
        if each["schema"].get("enum")
    }
    usual = {name: values[0] for name, values in choices.items()}
    for method in _METHODS:
        operation = item.get(method)
        if operation is None or path.count("{") > len(usual):
            continue
        success = min(operation["responses"])
        body = operation.get("requestBody")
        if body is None:
            if method == "get":
                name = operation["summary"]
                yield CollectionRequest(
                    name, path.format(**usual), method, operation, success
                )
            continue
        for name, example in body["content"]["application/json"]["examples"].items():
            filled = path.format(**{**usual, **example.get("x-path", {})})
            expected = example.get(EXPECTED, success)
            sent = example["value"]
            yield CollectionRequest(name, filled, method, operation, expected, sent)


def _item(asked: CollectionRequest, document: Json) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": asked.method.upper(),
        "description": asked.operation["summary"],
        "url": {
            "raw": "{{baseUrl}}" + asked.path,
            "host": ["{{baseUrl}}"],
            "path": asked.path.strip("/").split("/"),
        },
        "header": [*_headers(asked)],
    }
    if asked.body is not None:
        raw = json.dumps(asked.body, indent=2, ensure_ascii=False)
        language = {"raw": {"language": "json"}}
        request["body"] = {"mode": "raw", "raw": raw, "options": language}
    script = f"const TOLD = {json.dumps(json.dumps(_told(asked, document)))};\n"
    return {
        "name": asked.name,
        "request": request,
        "event": [_script("test", script + _text("after.js"))],
    }


def _headers(asked: CollectionRequest) -> Iterator[dict[str, str]]:
    if asked.body is not None:
        yield {"key": "Content-Type", "value": "application/json"}
    if _is_signed(asked.operation):
        yield {"key": "Authorization", "value": "Bearer {{token}}"}
    for each in asked.operation.get("parameters", ()):
        if each["name"] in _SIGNED:
            value = "{{" + _SIGNED[each["name"]] + "}}"
            yield {"key": each["name"], "value": value}


def _is_signed(operation: Json) -> bool:
    return any("clientJwt" in each for each in operation.get("security", ()))


def _told(asked: CollectionRequest, document: Json) -> Json:
    """What the script after the request holds its answer to."""
    needs = "privateKey" if _is_signed(asked.operation) else ""
    if asked.operation.get("parameters"):
        needs = "webhookSecret"
    schemas = {}
    for status, answer in asked.operation["responses"].items():
        content = answer.get("content", {}).get("application/json")
        if content and status in (asked.expected, "401"):
            schemas[status] = _resolve(content["schema"], document)
    return {"expected": int(asked.expected), "schemas": schemas, "needs": needs}


def _resolve(schema: Json, document: Json) -> Any:
    """The schema with all that it refers to within it."""
    name = schema.get("$ref", "").removeprefix(_REFERENCE)
    if not name:
        return schema
    whole = json.dumps(document["components"]["schemas"][name])
    return json.loads(whole.replace(f"{_REFERENCE}{name}/", "#/"))


def _script(listen: str, text: str) -> dict[str, Any]:
    script = {"type": "text/javascript", "exec": text.splitlines()}
    return {"listen": listen, "script": script}


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
