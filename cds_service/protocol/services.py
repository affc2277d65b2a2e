"""Service: what discovery advertises, one per id and hook."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS Service on one hook."""

    id: str
    hook: str
    title: str
    description: str
    usage_requirements: str = ""
    prefetch: Mapping[str, str] | None = None
    """Prefetch key to FHIR query template."""
