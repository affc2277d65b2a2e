"""HookRequest: one call of a CDS Service, read and checked.

Form that real clients get wrong harmlessly is forgiven and noted as a deviation;
what could touch the wrong patient, hide a failure or weaken trust is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InvalidRequest, Problem, Remarks, WrongPatient
from .formats import is_opaque, is_reverse_domain, parse_base_url, parse_uuid
from .hooks import HOOKS, Hook, build_own_hook, parse_context, parse_id

_LARGEST_INTEGER = 2**31 - 1
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,10}")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_SUCCESS = re.compile(r"2[0-9][0-9]\b")


@dataclass(frozen=True, slots=True)
class FhirAuthorization:
    """The EHR's permission to read its FHIR server, for this call only."""

    access_token: str
    """Transient: never stored, logged or audited."""
    scope: str
    subject: str
    expires_in: int | None = None
    """Seconds; none where the client did not say."""
    patient: str | None = None

    def __repr__(self) -> str:
        return "FhirAuthorization(access_token=<withheld>)"


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call of a CDS Service."""

    hook: str
    hook_instance: str
    """As sent, but a UUID in lower case without ``urn:uuid:``."""
    instance_is_uuid: bool
    patient_id: str
    """A bare id, without ``Patient/``."""
    user_id: str | None
    """``Type/id``; none where the hook has no user or the client left it out."""
    encounter_id: str | None
    context: Mapping[str, Any]
    """The fields of the hook as its definition has them, unknown ones as sent."""
    prefetch: Mapping[str, Any]
    """As sent, but out of a ``{response, resource}`` wrapper; a key that is absent was
    not supplied, null means none found."""
    fhir_server: str | None
    """In the spelling of ``formats.parse_base_url``."""
    fhir_authorization: FhirAuthorization | None
    deviations: tuple[str, ...] = ()
    """What was forgiven, in words; holds no patient data."""


def parse_request(
    body: Any, *, strict: bool = False, https_only: bool = True
) -> HookRequest:
    """Return one call of a CDS Service, from its JSON.

    Unknown members, extensions among them, are ignored.

    Raises:
        InvalidRequest: naming every wrong field; under *strict* every deviation too.
        WrongPatient: if the token is for another patient than the context's.

    Source: CDS Hooks 3.0.0 "Calling a CDS Service".
    """
    if not isinstance(body, dict):
        raise InvalidRequest(Problem("The body must be a JSON object.", "$"))
    remarks = Remarks(strict)
    hook = _hook(body.get("hook"), remarks)
    instance, is_uuid = _instance(body.get("hookInstance"), remarks)
    context = parse_context(body.get("context"), hook, remarks)
    prefetch = _prefetch(body.get("prefetch"), remarks)
    server = _server(body.get("fhirServer"), https_only, remarks)
    granted = body.get("fhirAuthorization")
    authorization, token_patient = _authorization(granted, remarks)
    if authorization and body.get("fhirServer") in (None, ""):
        remarks.wrong("$.fhirServer", "required where fhirAuthorization is present")
    patient_id = context.get("patientId")
    if token_patient and patient_id and token_patient != patient_id:
        path = "$.fhirAuthorization.patient"
        remarks.wrong(path, "the token is for another patient than the context's")
        raise WrongPatient(*remarks.problems)
    if remarks.problems:
        raise InvalidRequest(*remarks.problems)
    defined = {field.name for field in hook.fields}
    return HookRequest(
        hook=hook.name,
        hook_instance=instance,
        instance_is_uuid=is_uuid,
        patient_id=context["patientId"],
        user_id=context.get("userId") if "userId" in defined else None,
        encounter_id=context.get("encounterId") if "encounterId" in defined else None,
        context=context,
        prefetch=prefetch,
        fhir_server=server,
        fhir_authorization=authorization,
        deviations=tuple(remarks.deviations),
    )


def _hook(value: Any, remarks: Remarks) -> Hook:
    if isinstance(value, str) and value in HOOKS:
        return HOOKS[value]
    if isinstance(value, str) and is_reverse_domain(value):
        return build_own_hook(value)
    if value in (None, ""):
        remarks.wrong("$.hook", "required")
    else:
        remarks.wrong(
            "$.hook", "must be a hook of the library or a reverse-domain name"
        )
    return build_own_hook("every hook")


def _instance(value: Any, remarks: Remarks) -> tuple[str, bool]:
    """The hookInstance, and whether it is a UUID."""
    path = "$.hookInstance"
    if value is None or value == "":
        remarks.wrong(path, "required")
    elif not isinstance(value, str) or not is_opaque(value):
        remarks.wrong(path, "must be a UUID")
    elif uuid := parse_uuid(value):
        return uuid, True
    else:
        remarks.deviates(path, "not a UUID")
        return value, False
    return "", False


def _prefetch(value: Any, remarks: Remarks) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        remarks.wrong("$.prefetch", "must be an object")
        return {}
    if not any(_is_wrapped(each) for each in value.values()):
        return value
    remarks.deviates("$.prefetch", "values wrapped in {response, resource}")
    return {
        key: each["resource"] if _is_wrapped(each) else each
        for key, each in value.items()
        if not _is_wrapped(each) or _has_answer(each)
    }


def _is_wrapped(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= {"response", "resource"}
    )


def _has_answer(wrapper: Mapping[str, Any]) -> bool:
    """Check if a wrapped value tells what was found; else the key was not supplied."""
    response = wrapper.get("response")
    status = response.get("status") if isinstance(response, dict) else None
    if status is None:
        return wrapper.get("resource") is not None
    if isinstance(status, int):
        succeeded = 200 <= status <= 299
    else:
        succeeded = isinstance(status, str) and _SUCCESS.match(status) is not None
    return succeeded and "resource" in wrapper


def _server(value: Any, https_only: bool, remarks: Remarks) -> str | None:
    if value is None or value == "":
        return None
    url = parse_base_url(value) if isinstance(value, str) else None
    if url is None:
        remarks.wrong("$.fhirServer", "must be the absolute base URL of a FHIR server")
    elif https_only and not url.startswith("https:"):
        remarks.wrong("$.fhirServer", "must be an https URL")
    return url


def _authorization(
    value: Any, remarks: Remarks
) -> tuple[FhirAuthorization | None, str | None]:
    """The authorization, and the patient that the token is for.

    The patient is told without a token as well: a message about two patients is
    refused even where nothing could be read.

    Source: CDS Hooks 3.0.0 "Passing the Access Token to the CDS Service".
    """
    path = "$.fhirAuthorization"
    if value is None or value == {}:
        return None, None
    if not isinstance(value, dict):
        remarks.wrong(path, "must be an object")
        return None, None
    patient = value.get("patient")
    if patient is None or patient == "":
        patient = None
    else:
        patient = parse_id(patient, "Patient", f"{path}.patient", remarks)
    if _is_nobody(value):
        remarks.deviates(f"{path}.access_token", "empty; taken as no authorization")
        return None, patient
    _check_token_type(value.get("token_type"), f"{path}.token_type", remarks)
    authorization = FhirAuthorization(
        access_token=_text(value, "access_token", path, remarks),
        scope=_text(value, "scope", path, remarks),
        subject=_text(value, "subject", path, remarks),
        expires_in=_expiry(value.get("expires_in"), f"{path}.expires_in", remarks),
        patient=patient,
    )
    if not _TOKEN.fullmatch(authorization.access_token or "absent"):
        remarks.wrong(f"{path}.access_token", "must be a bearer token")
    return authorization, patient


def _is_nobody(authorization: Mapping[str, Any]) -> bool:
    """Check if the token is empty, as clients send it when nobody is logged in."""
    token = authorization.get("access_token", "absent")
    return token is None or (isinstance(token, str) and not token.strip())


def _check_token_type(value: Any, path: str, remarks: Remarks) -> None:
    if value is None or value == "":
        remarks.wrong(path, "required")
    elif not isinstance(value, str) or value.lower() != "bearer":
        remarks.wrong(path, "must be Bearer")
    elif value != "Bearer":
        remarks.deviates(path, "Bearer in other letters")


def _text(members: Mapping[str, Any], name: str, path: str, remarks: Remarks) -> str:
    """A required string; empty if it is wrong."""
    value = members.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        remarks.wrong(f"{path}.{name}", "required")
    elif not isinstance(value, str):
        remarks.wrong(f"{path}.{name}", "must be a string")
    else:
        return value
    return ""


def _expiry(value: Any, path: str, remarks: Remarks) -> int | None:
    """The seconds that a token lives."""
    if value is None or value == "":
        remarks.deviates(path, "missing; taken as unknown")
        return None
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        remarks.deviates(path, "a string; taken as the number in it")
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or abs(value) > _LARGEST_INTEGER
    ):
        remarks.wrong(path, "must be a whole number of seconds")
        return None
    return value
