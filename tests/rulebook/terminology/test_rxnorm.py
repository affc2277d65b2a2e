"""What holds an ingredient, out of lines of the shapes that NLM distributes."""

from collections.abc import Iterable

import pytest

from cds_service.rulebook.terminology.rxnorm import (
    BadRelease,
    Release,
    read_release,
    release_of,
)

CONCEPTS = """\
6918|ENG||||||12251630|12251630|6918||RXNORM|IN|6918|metoprolol||N|4096|
6918|ENG||||||2600315|2600315|6918||MTHSPL|SU|GEB06NHM23|METOPROLOL||N|4096|
221124|ENG||||||12254412|12254412|221124||RXNORM|PIN|221124|metoprolol succinate||N|4096|
866427|ENG||||||12284001|12284001|866427||RXNORM|BN|866427|Toprol||N|4096|
866435|ENG||||||12284002|12284002|866435||RXNORM|SCDC|866435|metoprolol succinate 50 MG||N|4096|
866436|ENG||||||12344001|12344001|866436||RXNORM|SCD|866436|24 HR metoprolol succinate 50 MG Extended Release Oral Tablet||N|4096|
866436|ENG||||||6371999|6371999|866436||RXNORM|PSN|866436|metoprolol succinate 50 MG 24HR Extended Release Oral Tablet||N|4096|
866438|ENG||||||12366001|12366001|866438||RXNORM|SBD|866438|24 HR metoprolol succinate 50 MG Extended Release Oral Tablet [Toprol]||N|4096|
10600|ENG||||||12250001|12250001|10600||RXNORM|IN|10600|timolol||N|4096|
4850|ENG||||||12250002|12250002|4850||RXNORM|IN|4850|dorzolamide||N|4096|
1000001|ENG||||||12250003|12250003|1000001||RXNORM|MIN|1000001|dorzolamide / timolol||N|4096|
1000002|ENG||||||12250004|12250004|1000002||RXNORM|SCDC|1000002|timolol 5 MG/ML||N|4096|
1000003|ENG||||||12250005|12250005|1000003||RXNORM|SCD|1000003|timolol 5 MG/ML Ophthalmic Solution||N|4096|
1000004|ENG||||||12250006|12250006|1000004||RXNORM|SCD|1000004|timolol 10 MG Oral Tablet||N|4096|
1000005|ENG||||||12250007|12250007|1000005||RXNORM|SBD|1000005|timolol 5 MG/ML Ophthalmic Solution [Timoptic]||N|4096|
1000006|ENG||||||12250008|12250008|1000006||RXNORM|BN|1000006|Timoptic||N|4096|
1000007|ENG||||||12250009|12250009|1000007||RXNORM|SCD|1000007|dorzolamide 20 MG/ML / timolol 5 MG/ML Ophthalmic Solution||N|4096|
1000008|ENG||||||12250010|12250010|1000008||RXNORM|SCDG|1000008|timolol Ophthalmic Product||N|4096|
1000009|ENG||||||12250011|12250011|1000009||RXNORM|GPCK|1000009|{1 (timolol drops) / 7 (dorzolamide tablets) } Pack||N|4096|
1000010|ENG||||||12250012|12250012|1000010||RXNORM|BPCK|1000010|{1 (timolol drops) / 7 (dorzolamide tablets) } Pack [Eyeset]||N|4096|
1000011|ENG||||||12250013|12250013|1000011||RXNORM|SCD|1000011|dorzolamide 10 MG Oral Tablet||N|4096|
1000012|ENG||||||12250014|12250014|1000012||RXNORM|BN|1000012|Timolast||N|4096|
317541|ENG||||||1482086|1482086|317541||RXNORM|DF|317541|Oral Tablet||N|4096|
316945|ENG||||||1482087|1482087|316945||RXNORM|DF|316945|Extended Release Oral Tablet||N|4096|
7670|ENG||||||1482088|1482088|7670||RXNORM|DF|7670|Ophthalmic Solution||N|4096|
746839|ENG||||||1482089|1482089|746839||RXNORM|DF|746839|Pack||N|4096|
1151125|ENG||||||1482090|1482090|1151125||RXNORM|DFG|1151125|Ophthalmic Product||N|4096|
51072|ENG||||||1482091|1482091|51072||MTHSPL|SU|15FIX9V2JP|TITANIUM DIOXIDE||N|4096|
"""  # noqa: E501

RELATIONS = """\
221124||CUI|RB|6918||CUI|has_form|1||RXNORM|||||4096|
6918||CUI|RN|221124||CUI|form_of|2||RXNORM|||||4096|
866427||CUI|RB|6918||CUI|has_tradename|3||RXNORM|||||4096|
866435||CUI|RO|6918||CUI|ingredient_of|4||RXNORM|||||4096|
866435||CUI|RO|221124||CUI|precise_ingredient_of|5||RXNORM|||||4096|
866436||CUI|RO|866435||CUI|constitutes|6||RXNORM|||||4096|
866435||CUI|RO|866436||CUI|consists_of|7||RXNORM|||||4096|
866438||CUI|RB|866436||CUI|has_tradename|8||RXNORM|||||4096|
866438||CUI|RO|866427||CUI|ingredient_of|9||RXNORM|||||4096|
866436||CUI|RO|316945||CUI|dose_form_of|10||RXNORM|||||4096|
866438||CUI|RO|316945||CUI|dose_form_of|11||RXNORM|||||4096|
316945||CUI|RO|866436||CUI|has_dose_form|12||RXNORM|||||4096|
1000001||CUI|RO|10600||CUI|part_of|13||RXNORM|||||4096|
1000001||CUI|RO|4850||CUI|part_of|14||RXNORM|||||4096|
1000002||CUI|RO|10600||CUI|ingredient_of|15||RXNORM|||||4096|
1000003||CUI|RO|1000002||CUI|constitutes|16||RXNORM|||||4096|
1000007||CUI|RO|1000002||CUI|constitutes|17||RXNORM|||||4096|
1000007||CUI|RO|1000001||CUI|ingredients_of|18||RXNORM|||||4096|
1000004||CUI|RB|1000013||CUI|inverse_isa|19||RXNORM|||||4096|
1000005||CUI|RB|1000003||CUI|has_tradename|20||RXNORM|||||4096|
1000005||CUI|RO|1000006||CUI|ingredient_of|21||RXNORM|||||4096|
1000006||CUI|RB|10600||CUI|has_tradename|22||RXNORM|||||4096|
1000008||CUI|RO|10600||CUI|ingredient_of|23||RXNORM|||||4096|
1000003||CUI|RB|1000008||CUI|inverse_isa|24||RXNORM|||||4096|
1000009||CUI|RO|1000003||CUI|contained_in|25||RXNORM|||||4096|
1000009||CUI|RO|1000011||CUI|contained_in|26||RXNORM|||||4096|
1000010||CUI|RB|1000009||CUI|has_tradename|27||RXNORM|||||4096|
1000011||CUI|RO|4850||CUI|ingredient_of|28||RXNORM|||||4096|
1000003||CUI|RO|7670||CUI|dose_form_of|29||RXNORM|||||4096|
1000004||CUI|RO|317541||CUI|dose_form_of|30||RXNORM|||||4096|
1000005||CUI|RO|7670||CUI|dose_form_of|31||RXNORM|||||4096|
1000007||CUI|RO|7670||CUI|dose_form_of|32||RXNORM|||||4096|
1000009||CUI|RO|746839||CUI|dose_form_of|33||RXNORM|||||4096|
1000010||CUI|RO|746839||CUI|dose_form_of|34||RXNORM|||||4096|
1000011||CUI|RO|317541||CUI|dose_form_of|35||RXNORM|||||4096|
1000008||CUI|RO|1151125||CUI|doseformgroup_of|36||RXNORM|||||4096|
1000004||CUI|RO|10600||CUI|ingredient_of|37||RXNORM|||||4096|
1000012||CUI|RO|1000006||CUI|reformulated_to|38||RXNORM|||||4096|
866436||CUI|RO|10600||CUI|inactive_ingredient_of|39||RXNORM|||||4096|
866436||CUI|RO|10600||CUI|ingredient_of|40||MTHSPL|||||4096|
|6371999|AUI|SY||12344001|AUI||41||RXNORM|||||4096|
1000005||CUI|RO|866427||CUI|ingredient_of|42||RXNORM|||||4096|
866436||CUI|RO|10600||CUI|ingredient_of|43||MTHSPL|RXNORM||||4096|
"""  # noqa: E501


def lines(text: str) -> Iterable[bytes]:
    return text.encode().splitlines(keepends=True)


@pytest.fixture(scope="module")
def release() -> Release:
    return read_release(lines(CONCEPTS), lines(RELATIONS))


def test_every_product_that_holds_an_ingredient_is_found(release: Release) -> None:
    assert release.products("6918") == {
        "6918": (),
        "221124": (),
        "866427": ("Extended Release Oral Tablet",),
        "866435": ("Extended Release Oral Tablet",),
        "866436": ("Extended Release Oral Tablet",),
        "866438": ("Extended Release Oral Tablet",),
    }


def test_a_brand_a_component_and_a_pack_have_the_forms_of_what_holds_the_ingredient(
    release: Release,
) -> None:
    timolol = release.products("10600")

    assert timolol["1000006"] == ("Ophthalmic Solution",), "the brand Timoptic"
    assert timolol["1000002"] == ("Ophthalmic Solution",), "a component"
    assert timolol["1000008"] == ("Ophthalmic Product",), "a group of forms"
    assert timolol["1000009"] == ("Ophthalmic Solution",), "not that of its tablets"
    assert timolol["1000010"] == ("Ophthalmic Solution",), "the brand of that pack"
    assert timolol["1000004"] == ("Oral Tablet",)
    assert release.products("4850")["1000009"] == ("Oral Tablet",)


def test_what_a_brand_became_and_what_only_a_label_says_is_left(
    release: Release,
) -> None:
    timolol = release.products("10600")

    assert "1000012" not in timolol
    assert "866436" not in timolol
    assert "51072" not in release.types


def test_products_that_hold_something_else_are_told(release: Release) -> None:
    others = release.holding_others({"10600", "6918"})

    assert {"1000001", "1000007", "1000009", "1000010"} <= others
    assert not others & {"10600", "866436", "1000003", "1000006"}


@pytest.mark.parametrize(
    ("concepts", "relations", "said"),
    [
        (CONCEPTS[:-30], RELATIONS, "RXNCONSO.RRF:28: "),
        (CONCEPTS, RELATIONS[:-12], "RXNREL.RRF:43: 11 columns where 16 belong"),
        (CONCEPTS + "\n", RELATIONS, "RXNCONSO.RRF:29: 0 columns"),
        (CONCEPTS, CONCEPTS, "RXNREL.RRF:1: 18 columns where 16 belong"),
        (CONCEPTS.replace("|\n", "|N|\n"), RELATIONS, "RXNCONSO.RRF:1: 19 columns"),
        (
            CONCEPTS.replace("|RXNORM|", "|MTHSPL|"),
            RELATIONS,
            "contains no RxNorm ingredient",
        ),
        (CONCEPTS, RELATIONS.replace("|RXNORM|", "|MTHSPL|"), "relates none"),
        ("", RELATIONS, "contains no RxNorm ingredient"),
        (CONCEPTS, "", "relates none"),
    ],
)
def test_files_that_are_not_whole_or_not_these_are_refused(
    concepts: str, relations: str, said: str
) -> None:
    with pytest.raises(BadRelease) as refused:
        read_release(lines(concepts), lines(relations))

    assert said in str(refused.value)


def test_a_line_that_is_not_utf8_is_refused_with_its_number() -> None:
    concepts = [*lines(CONCEPTS), CONCEPTS.splitlines()[0].encode("utf-16")[:0]]
    concepts[-1] = concepts[0].replace(b"metoprolol", b"m\xe9toprolol")

    with pytest.raises(BadRelease, match="RXNCONSO.RRF:29: this line is not UTF-8"):
        read_release(concepts, lines(RELATIONS))


SAB = (
    "C4518881|C1140284|RXNORM_17AB_171106F|RXNORM|RxNorm Vocabulary|RXNORM|17AB_171106F"
    "|||2017AB||NLM|NLM|0||||IN,SCD|NDC|ENG|UTF-8|Y|Y|RxNorm|;;RxNorm|\n"
)


@pytest.mark.parametrize(
    ("names", "sources", "date"),
    [
        (["rrf", "Readme_Full_Prescribe_09082026.txt"], "", "2026-09-08"),
        (["RxNorm_full_prescribe_11022026"], "", "2026-11-02"),
        (["rrf"], SAB, "2017-11-06"),
        (["rrf", "Readme_99992026.txt"], "", ""),
    ],
)
def test_a_release_says_when_it_was_made(
    names: list[str], sources: str, date: str
) -> None:
    assert release_of(names, lines(sources)) == date
