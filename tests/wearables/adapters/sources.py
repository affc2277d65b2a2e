"""Who sends in these tests, and what the shipped rules know wearables to tell."""

from dataclasses import dataclass
from pathlib import Path

from cds_service.rulebook.compile.catalogue_builder import build_catalogue
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml

RULES = Path(__file__).parents[3] / "rules"


def _shipped(name: str):  # type: ignore[no-untyped-def]
    return parse_yaml((RULES / name).read_text("utf-8"), name, Findings())


CATALOGUE = build_catalogue(_shipped("metrics.yaml"), _shipped("alert-types.yaml"))


@dataclass(frozen=True)
class Source:
    """A source that may speak of anybody."""

    id: str = "watches"
    tenant: str = "demo"
    fhir_base: str = "-"
    time_zone: str = ""
