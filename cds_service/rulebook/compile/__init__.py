"""The files of a rules folder in, a rulebook or every diagnostic out."""

from .compiler import (
    DETECTORS,
    OF_TESTS,
    SERVICES,
    SITE,
    Compiled,
    compile_rulebook,
    digest_of,
    kind_of,
)
from .life_cycle import overdue
from .prefetch import Asking, Derived, askings_of, derive, derive_queries, tokens_of

__all__ = [
    "Asking",
    "Compiled",
    "DETECTORS",
    "Derived",
    "OF_TESTS",
    "SERVICES",
    "SITE",
    "askings_of",
    "compile_rulebook",
    "derive",
    "derive_queries",
    "digest_of",
    "kind_of",
    "overdue",
    "tokens_of",
]
