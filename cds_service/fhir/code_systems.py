"""Code systems: their names, and how one code is written in each.

Sources: https://terminology.hl7.org/SystemVersions (URIs and OIDs); LOINC Users' Guide
"Check digit"; SNOMED CT Technical Implementation Guide "Verhoeff check".
"""

import re
from collections.abc import Mapping
from functools import lru_cache

SYSTEMS: Mapping[str, str] = {
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "icd10cm": "http://hl7.org/fhir/sid/icd-10-cm",
    "atc": "http://www.whocc.no/atc",
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "ndc": "http://hl7.org/fhir/sid/ndc",
}
"""Short name, as rule files write it, to URI."""

_OIDS = {
    "rxnorm": "2.16.840.1.113883.6.88",
    "icd10cm": "2.16.840.1.113883.6.90",
    "atc": "2.16.840.1.113883.6.73",
    "loinc": "2.16.840.1.113883.6.1",
    "snomed": "2.16.840.1.113883.6.96",
    "ndc": "2.16.840.1.113883.6.69",
}

_URIS = {
    **{name: uri for name, uri in SYSTEMS.items()},
    **{uri: uri for uri in SYSTEMS.values()},
    **{oid: SYSTEMS[name] for name, oid in _OIDS.items()},
    **{f"urn:oid:{oid}": SYSTEMS[name] for name, oid in _OIDS.items()},
}

_NAMES = {uri: name for name, uri in SYSTEMS.items()}
_ICD10CM, _ATC = SYSTEMS["icd10cm"], SYSTEMS["atc"]
HIERARCHIES = frozenset({_ICD10CM, _ATC})
"""Systems in which a code begins with the code of what it is a kind of."""

_FORMS = {
    SYSTEMS["rxnorm"]: r"[0-9]{1,8}",
    # No O stands behind the first letter, since it looks like a digit, and I in one
    # branch alone; the second is a letter in few codes, as in QA0.8.
    SYSTEMS["icd10cm"]: r"(Y93I|[A-Z][0-9A][0-9A-HJ-NP-Z])[0-9A-HJ-NP-Z]{0,4}",
    SYSTEMS["atc"]: r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?",
    SYSTEMS["loinc"]: r"[0-9]{1,7}-[0-9]",
    SYSTEMS["snomed"]: r"[1-9][0-9]{5,17}",
    SYSTEMS["ndc"]: r"[0-9-]{8,14}",
}


def canonical_system(text: str) -> str:
    """Return the URI of a code system named by URI, OID or short name, or *text*.

    A version after a bar is no part of the name.
    """
    return _URIS.get(text) or _respelled(text)


def normalise_code(system: str, code: str) -> str:
    """Return a code as it is compared: in ICD-10-CM upper case and without the dot."""
    if system == _ICD10CM:
        return code.strip().replace(".", "").upper()
    if system == _ATC:
        return code.strip().upper()
    return code.strip()


def written_code(system: str, code: str) -> str:
    """Return a normalised code as people write it: in ICD-10-CM with its dot."""
    if system == _ICD10CM and len(code) > 3:
        return f"{code[:3]}.{code[3:]}"
    return code


def short_name(system: str) -> str:
    """Return what rule files call a code system: its short name, else its URI."""
    return _NAMES.get(system, system)


def is_well_formed(system: str, code: str) -> bool:
    """Check whether a normalised code could be one of *system*; unknown ones may."""
    form = _FORMS.get(system)
    return bool(code) if form is None else bool(re.fullmatch(form, code))


def can_be_read(system: str, written: str) -> bool:
    """Check whether what a record has for a code of *system* says which one it is.

    Of a classification and of LOINC, whose codes have a form; others are known by a
    list. A dash or mark behind a code of ICD-10 stands for what is not told, and parts
    of LOINC, such as ``LP6243-4``, are no results and no riddles either.
    """
    if system not in _TOLD_BY_FORM:
        return True
    return len(written) <= _LONGEST_CODE and _has_form(system, written)


@lru_cache(maxsize=8192)
def _has_form(system: str, written: str) -> bool:
    code = normalise_code(system, written)
    if system == _LOINC:
        return is_well_formed(system, code) or bool(_LOINC_PART.fullmatch(code))
    return is_well_formed(system, code.rstrip("-+*!\u2020"))


_LOINC = SYSTEMS["loinc"]
_LONGEST_CODE = 40
"""Characters; nothing longer is kept in mind."""
_TOLD_BY_FORM = HIERARCHIES | {_LOINC}
_LOINC_PART = re.compile(r"L[A-Z]{1,2}[0-9]+-[0-9]")


def misread_code(system: str, code: str) -> str:
    """Return the code of *system* with digits for letters like them; else nothing."""
    digits = code[:1] + code[1:].translate(_LOOK_ALIKE)
    for each in (digits, code.translate(_LOOK_ALIKE)):
        if each != code and is_well_formed(system, normalise_code(system, each)):
            return each
    return ""


_LOOK_ALIKE = str.maketrans("OoIl", "0011")


def has_good_check_digit(system: str, code: str) -> bool:
    """Check whether the last digit fits the others, if the system has such a one."""
    if system == SYSTEMS["loinc"]:
        return _luhn(code.replace("-", ""))
    if system == SYSTEMS["snomed"]:
        return _verhoeff(code)
    return True


def _respelled(text: str) -> str:
    return text if len(text) > _LONGEST else _respelled_once(text)


@lru_cache(maxsize=512)
def _respelled_once(text: str) -> str:
    unversioned, _, _ = text.partition("|")
    plain = unversioned.strip().lower().replace("https://", "http://").rstrip("/")
    if plain.startswith(SYSTEMS["snomed"] + "/"):
        return SYSTEMS["snomed"]
    return _URIS.get(plain, text)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + index % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _verhoeff(digits: str) -> bool:
    check = 0
    for index, digit in enumerate(reversed(digits)):
        moved = int(digit)
        for _ in range(index % 8):
            moved = _PERMUTATION[moved]
        check = _product(check, moved)
    return check == 0


def _product(left: int, right: int) -> int:
    """Composition in the dihedral group of the pentagon."""
    turned = left + right if left < 5 else left - right
    return turned % 5 + 5 * ((left >= 5) != (right >= 5))


_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_LONGEST = 200
"""Characters; nothing longer names one of these systems."""
