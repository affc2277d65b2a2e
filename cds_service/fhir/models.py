"""Strict R4 models of what we write: the door to fhirclient's models. Pure.

They are imported with a whole client, so not before there is something to check.
"""

import re
from functools import cache
from typing import Any, NamedTuple

from .chart import Resource

_CARRIER = re.compile(r" (?:on|in data for) <[^>]*>")
_TYPE = re.compile(r"<class '(?:\w+\.)*(\w+)'>")


class _Models(NamedTuple):
    """fhirclient's."""

    resource: type
    error: Any
    instantiate: Any
    """From a name and its members; without a model for the name, an element."""


@cache
def _models() -> _Models:
    from fhirclient.models.fhirabstractbase import FHIRValidationError
    from fhirclient.models.fhirelementfactory import FHIRElementFactory
    from fhirclient.models.resource import Resource as Model

    return _Models(Model, FHIRValidationError, FHIRElementFactory.instantiate)


def check_resource(resource: Resource) -> list[str]:
    """Return what is wrong with *resource* by FHIR R4, a line a problem, sorted."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not kind:
        return ["resourceType: is missing"]
    models = _models()
    if not isinstance(models.instantiate(kind, None), models.resource):
        return [f"resourceType: {kind} is no FHIR R4 resource"]
    try:
        models.instantiate(kind, dict(resource))
    except models.error as error:
        return sorted(_problems(error))
    return []


def _problems(error: Any, path: str = "") -> list[str]:
    here = ".".join(filter(None, [path, getattr(error, "path", None)]))
    if isinstance(error, _models().error):
        return [each for inner in error.errors for each in _problems(inner, here)]
    text = _TYPE.sub(r"\1", _CARRIER.sub("", str(error.args[0])))
    if isinstance(error, NameError):
        # fhirclient trips over its own message for an array item that is no object.
        text = "an item is not an object"
    return [f"{here}: {text}" if here else text]
