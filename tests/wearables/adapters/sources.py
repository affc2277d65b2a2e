"""Who sends in these tests, and what the shipped rules know wearables to tell."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cds_service.rulebook.compile.catalogue_builder import build_catalogue
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.source import parse_yaml
from cds_service.wearables.samples import Sample

RULES = Path(__file__).parents[3] / "rules"


def _shipped(name: str) -> Document | None:
    return parse_yaml((RULES / name).read_text("utf-8"), name, Findings())


CATALOGUE = build_catalogue(_shipped("metrics.yaml"), _shipped("alert-types.yaml"))


@dataclass(frozen=True)
class Source:
    """A source that may speak of anybody."""

    id: str = "watches"
    tenant: str = "demo"
    fhir_base: str = "-"
    time_zone: str = ""


def identity(sample: Sample) -> tuple[str, bytes, datetime | None]:
    """What tells a reading from all others of its wearer and source."""
    at = None if sample.source_id else sample.start
    return sample.metric, sample.key, at
