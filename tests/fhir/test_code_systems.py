import pytest

from cds_service.fhir.code_systems import (
    SYSTEMS,
    can_be_read,
    canonical_system,
    has_good_check_digit,
    is_well_formed,
    misread_code,
    normalise_code,
    short_name,
    written_code,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("rxnorm", "rxnorm"),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "rxnorm"),
        ("urn:oid:2.16.840.1.113883.6.88", "rxnorm"),
        ("2.16.840.1.113883.6.90", "icd10cm"),
        ("https://loinc.org/", "loinc"),
        ("HTTP://LOINC.ORG", "loinc"),
        ("http://snomed.info/sct/731000124108", "snomed"),
        ("URN:OID:2.16.840.1.113883.6.96", "snomed"),
        ("http://www.whocc.no/atc", "atc"),
        ("urn:oid:2.16.840.1.113883.6.69", "ndc"),
    ],
)
def test_a_system_is_known_by_its_uri_its_oid_and_its_short_name(
    written: str, name: str
) -> None:
    assert canonical_system(written) == SYSTEMS[name]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "urn:oid:1.2.3",
        "http://hospital.example/codes",
        "http://loinc.org" + "/" * 999,
    ],
)
def test_an_unknown_system_stays_as_it_is(written: str) -> None:
    assert canonical_system(written) == written


@pytest.mark.parametrize(
    ("system", "written", "plain"),
    [
        ("icd10cm", " i48.0 ", "I480"),
        ("icd10cm", "I480", "I480"),
        ("atc", "c07ab02", "C07AB02"),
        ("rxnorm", " 6918 ", "6918"),
    ],
)
def test_a_code_is_compared_in_one_spelling(
    system: str, written: str, plain: str
) -> None:
    assert normalise_code(SYSTEMS[system], written) == plain


@pytest.mark.parametrize(
    ("system", "code", "well_formed"),
    [
        ("rxnorm", "6918", True),
        ("rxnorm", "C07", False),
        ("icd10cm", "I480", True),
        ("icd10cm", "48", False),
        ("atc", "C07AB02", True),
        ("atc", "C07A", True),
        ("atc", "C07AB0", False),
        ("loinc", "40443-4", True),
        ("loinc", "40443", False),
        ("snomed", "49436004", True),
        ("snomed", "049436004", False),
    ],
)
def test_a_code_has_the_form_of_its_system(
    system: str, code: str, well_formed: bool
) -> None:
    assert is_well_formed(SYSTEMS[system], code) is well_formed


def test_the_codes_of_an_unknown_system_may_have_any_form() -> None:
    assert is_well_formed("http://hospital.example/codes", "x y z")


@pytest.mark.parametrize(
    ("system", "code", "good"),
    [
        ("loinc", "40443-4", True),
        ("loinc", "40443-5", False),
        ("loinc", "40434-4", False),
        ("snomed", "49436004", True),
        ("snomed", "49436005", False),
        ("snomed", "49463004", False),
        ("snomed", "703272007", True),
        ("rxnorm", "6918", True),
    ],
)
def test_a_mistyped_digit_is_noticed(system: str, code: str, good: bool) -> None:
    assert has_good_check_digit(SYSTEMS[system], code) is good


@pytest.mark.parametrize(
    ("system", "plain", "written"),
    [
        ("icd10cm", "I480", "I48.0"),
        ("icd10cm", "I10", "I10"),
        ("icd10cm", "S72001A", "S72.001A"),
        ("atc", "C07AB02", "C07AB02"),
    ],
)
def test_a_code_is_written_as_people_write_it(
    system: str, plain: str, written: str
) -> None:
    assert written_code(SYSTEMS[system], plain) == written
    assert normalise_code(SYSTEMS[system], written) == plain


def test_a_system_has_a_short_name_where_rule_files_have_one() -> None:
    assert short_name(SYSTEMS["icd10cm"]) == "icd10cm"
    assert short_name("urn:oid:1.2.3") == "urn:oid:1.2.3"


@pytest.mark.parametrize(
    ("system", "code", "meant"),
    [
        ("icd10cm", "E1O.9", "E10.9"),
        ("icd10cm", "I5O", "I50"),
        ("icd10cm", "El1.9", "E11.9"),
        ("icd10cm", "EI1", "E11"),
        ("icd10cm", "Ell", "E11"),
        ("icd10cm", "O9A.2", ""),
        ("icd10cm", "E1", ""),
        ("rxnorm", "69l8", "6918"),
        ("rxnorm", "l0600", "10600"),
        ("atc", "CO7", "C07"),
        ("loinc", "886l-4", "8861-4"),
        ("loinc", "heart", ""),
    ],
)
def test_a_letter_in_the_place_of_a_digit_is_seen(
    system: str, code: str, meant: str
) -> None:
    uri = SYSTEMS[system]

    assert misread_code(uri, code) == meant
    assert not meant or not is_well_formed(uri, normalise_code(uri, code))


@pytest.mark.parametrize(
    ("system", "code", "readable"),
    [
        ("icd10cm", "I48.91", True),
        ("icd10cm", "i48.-", True),
        ("icd10cm", "B33.2+", True),
        ("icd10cm", "I 48.91", False),
        ("icd10cm", "IMO0001", False),
        ("icd10cm", "427.31", False),
        ("icd10cm", "I48" + "1" * 100, False),
        ("atc", "C01AA05", True),
        ("atc", "digoxin", False),
        ("loinc", "8867-4", True),
        ("loinc", "LP6243-4", True),
        ("loinc", "8867\u20114", False),
        ("loinc", "pulse", False),
        ("snomed", "anything", True),
        ("http://hospital.example/codes", "anything", True),
    ],
)
def test_a_code_can_be_read_where_it_has_the_form_of_its_system(
    system: str, code: str, readable: bool
) -> None:
    assert can_be_read(SYSTEMS.get(system, system), code) is readable
