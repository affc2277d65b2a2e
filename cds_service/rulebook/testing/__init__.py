"""The tests beside rules: examples, mutants, coverage, and what a rule must have."""

from .clause_coverage import Coverage, SeenClause, cover
from .example_runner import Difference, ExampleRunner
from .examples import (
    TEST_SUFFIX,
    Example,
    ExampleFile,
    fhir_files,
    read_examples,
)
from .gate import check_tests, gate
from .mutation import Mutation, mutate
from .notation import ExampleError
from .required_tests import check_mutation

__all__ = [
    "SeenClause",
    "Coverage",
    "Difference",
    "Example",
    "ExampleError",
    "ExampleFile",
    "ExampleRunner",
    "Mutation",
    "TEST_SUFFIX",
    "check_mutation",
    "check_tests",
    "cover",
    "fhir_files",
    "gate",
    "mutate",
    "read_examples",
]
