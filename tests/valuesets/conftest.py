"""The shipped value sets, and ICD-10-CM as its owners publish it."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cds_service.fhir.code_systems import SYSTEMS, normalise_code
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.terminology.valuesets import ValueSet

from .. import shipped


@pytest.fixture(scope="session")
def rulebook() -> Rulebook:
    """The shipped rules, with the overlays that are in use."""
    return shipped.rulebook()


@pytest.fixture(scope="session")
def sets(rulebook: Rulebook) -> Mapping[str, ValueSet]:
    """The shipped value sets by name."""
    return rulebook.valuesets


@pytest.fixture(scope="session")
def holds(sets: Mapping[str, ValueSet]) -> Any:
    """Whether a set holds a code: ``holds(set, "icd10cm|I69.351")``."""

    def holds(name: str, written: str) -> bool:
        system, _, code = written.partition("|")
        uri = SYSTEMS[system]
        return sets[name].holds(uri, normalise_code(uri, code))

    return holds


@pytest.fixture(scope="session")
def icd10cm() -> Iterator[Any]:
    """The codes of ICD-10-CM, valid and with their places in the hierarchy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import simple_icd_10_cm
    yield simple_icd_10_cm
