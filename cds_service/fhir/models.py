"""Strict R4 models of what we write: the door to fhirclient's models. Pure."""

import re
from typing import Any

from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from fhirclient.models.resource import Resource as Model

from .chart import Resource

_CARRIER = re.compile(r" (?:on|in data for) <[^>]*>")
_TYPE = re.compile(r"<class '(?:\w+\.)*(\w+)'>")

_instantiate: Any = FHIRElementFactory.instantiate


def check_resource(resource: Resource) -> list[str]:
    """Return what is wrong with *resource* by FHIR R4, a line a problem, sorted."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not kind:
        return ["resourceType: is missing"]
    if not isinstance(_instantiate(kind, None), Model):
        return [f"resourceType: {kind} is no FHIR R4 resource"]
    try:
        _instantiate(kind, dict(resource))
    except FHIRValidationError as error:
        return sorted(_problems(error))
    return []


def _problems(error: Exception, path: str = "") -> list[str]:
    here = ".".join(filter(None, [path, getattr(error, "path", None)]))
    if isinstance(error, FHIRValidationError):
        return [each for inner in error.errors for each in _problems(inner, here)]
    text = _TYPE.sub(r"\1", _CARRIER.sub("", str(error.args[0])))
    if isinstance(error, NameError):
        # fhirclient trips over its own message for an array item that is no object.
        text = "an item is not an object"
    return [f"{here}: {text}" if here else text]
