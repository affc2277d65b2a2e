"""The tests beside rules: examples, mutants, coverage, and what a rule must have."""

from .clause_coverage import Coverage, SeenClause, cover
from .detector_coverage import DetectorCoverage, cover_detector
from .detector_examples import DetectorExample, read_detector_examples
from .detector_mutation import mutate_detector
from .detector_runner import DetectorRunner
from .example_runner import Difference, ExampleRunner
from .examples import (
    TEST_SUFFIX,
    Example,
    ExampleFile,
    WrittenExample,
    fhir_files,
    read_examples,
)
from .gate import check_detector_tests, check_tests, gate
from .mutation import Mutation, mutate
from .notation import ExampleError
from .required_tests import check_mutation

__all__ = [
    "SeenClause",
    "Coverage",
    "DetectorCoverage",
    "DetectorExample",
    "DetectorRunner",
    "Difference",
    "Example",
    "ExampleError",
    "ExampleFile",
    "ExampleRunner",
    "Mutation",
    "TEST_SUFFIX",
    "WrittenExample",
    "check_detector_tests",
    "check_mutation",
    "check_tests",
    "cover",
    "cover_detector",
    "fhir_files",
    "gate",
    "mutate",
    "mutate_detector",
    "read_detector_examples",
    "read_examples",
]
