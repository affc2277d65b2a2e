"""Value sets, and the terminologies of others that they are made from."""

from .expansions import EXPANSION, Expansion, names_in, read_expansion, write_expansion
from .fhir_export import as_fhir
from .fhir_import import Concept, Imported, name_for, read_valueset, write_valueset
from .files import LOCK, NOTICE, SIZE_LIMITS, tell_import
from .licences import check_licences
from .locks import LockChange, changes, counts_of, entries_of, read_lock, write_lock
from .rxnorm import CONCEPTS, RELATIONS, SOURCES, BadRelease, read_release, release_of
from .valuesets import ValueSet

__all__ = [
    "BadRelease",
    "CONCEPTS",
    "LockChange",
    "Concept",
    "EXPANSION",
    "Expansion",
    "Imported",
    "LOCK",
    "NOTICE",
    "RELATIONS",
    "SIZE_LIMITS",
    "SOURCES",
    "ValueSet",
    "as_fhir",
    "changes",
    "check_licences",
    "counts_of",
    "entries_of",
    "name_for",
    "names_in",
    "read_expansion",
    "read_lock",
    "read_release",
    "read_valueset",
    "release_of",
    "tell_import",
    "write_expansion",
    "write_lock",
    "write_valueset",
]
