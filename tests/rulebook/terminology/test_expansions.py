"""Products by their codes: from a release to a file to the value sets that it fills."""

from typing import Any

import pytest

from cds_service.rulebook.compile.compiler import digest_of
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.terminology.expansions import (
    EXPANSION,
    Expansion,
    KnownProducts,
    meant,
    names_in,
    read_expansion,
    write_expansion,
)
from cds_service.rulebook.terminology.lexicon import Lexicon
from cds_service.rulebook.terminology.rxnorm import Release

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
BETA_BLOCKER = "bb: {medication: {in: beta-blockers}}"

RELEASE = Release(
    types={
        "6918": "IN",
        "10600": "IN",
        "29046": "IN",
        "5487": "IN",
        "866436": "SCD",
        "866427": "BN",
        "866479": "SCD",
        "1923424": "SCD",
        "1923428": "SCD",
        "197884": "SCD",
    },
    names={
        "6918": "metoprolol",
        "10600": "timolol",
        "29046": "lisinopril",
        "5487": "hydrochlorothiazide",
        "866436": "metoprolol succinate 50 MG ER\tOral Tablet",
        "866427": "Toprol",
        "866479": "metoprolol / HCTZ Oral Tablet",
        "1923424": "timolol Ophthalmic Solution",
        "1923428": "timolol Oral Tablet",
        "197884": "lisinopril Oral Tablet",
    },
    forms={
        "866436": ["Extended Release Oral Tablet"],
        "866479": ["Oral Tablet"],
        "1923424": ["Ophthalmic Solution"],
        "1923428": ["Oral Tablet"],
        "197884": ["Oral Tablet"],
    },
    leads_to={
        "6918": ["866436", "866479", "866427"],
        "866427": ["866436"],
        "5487": ["866479"],
        "10600": ["1923424", "1923428"],
        "29046": ["197884"],
    },
)
WANTED = ["6918", "10600", "29046", "703"]
TEXT = "".join(write_expansion(RELEASE, "2026-11-02", WANTED))


def test_the_file_is_sorted_says_its_source_and_is_the_same_each_time() -> None:
    again = "".join(write_expansion(RELEASE, "2026-11-02", reversed(WANTED)))

    assert again == TEXT
    assert TEXT.split("\n\n")[0].splitlines()[2:] == [
        "# This product uses publicly available data from the U.S. National Library of "
        "Medicine (NLM), National Institutes of Health, Department of Health and Human "
        "Services; NLM is not responsible for the product and does not endorse or "
        "recommend this or any other product.",
        "format\t1",
        "release\t2026-11-02",
        "products\t9",
    ]
    assert TEXT.split("\n\n")[1:] == [
        "[ingredients]\n6918\n10600\n29046",
        "[absent]\n703",
        "[products]\n"
        "6918\tIN\t6918=\tmetoprolol\n"
        "10600\tIN\t10600=\ttimolol\n"
        "29046\tIN\t29046=\tlisinopril\n"
        "197884\tSCD\t29046=Oral Tablet\tlisinopril Oral Tablet\n"
        "866427\tBN\t6918=Extended Release Oral Tablet\tToprol\n"
        "866436\tSCD\t6918=Extended Release Oral Tablet\t"
        "metoprolol succinate 50 MG ER Oral Tablet\n"
        "866479\tSCD\t6918=Oral Tablet;+\tmetoprolol / HCTZ Oral Tablet\n"
        "1923424\tSCD\t10600=Ophthalmic Solution\ttimolol Ophthalmic Solution\n"
        "1923428\tSCD\t10600=Oral Tablet\ttimolol Oral Tablet\n",
    ]


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n")])
def test_what_was_written_is_read(text: str) -> None:
    findings = Findings()

    read = read_expansion(text, findings)

    assert list(findings) == []
    assert read.products["10600"] == {
        "10600": (),
        "1923424": ("Ophthalmic Solution",),
        "1923428": ("Oral Tablet",),
    }
    assert read.covered == {"6918", "10600", "29046", "703"}
    assert read.known == KnownProducts(
        codes=frozenset(
            "6918 10600 29046 197884 866427 866436 866479 1923424 1923428".split()
        ),
        mixed=frozenset({"866479"}),
        formless=frozenset({"6918", "10600", "29046"}),
        release="2026-11-02",
        products=frozenset("197884 866427 866436 866479 1923424 1923428".split()),
    )


def test_products_have_names() -> None:
    assert names_in(TEXT)["866427"] == "Toprol"
    assert names_in("") == {}


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("", 1),
        ("format\t2\n", 1),
        (TEXT.replace("[absent]", "[absence]"), 1),
        (TEXT.replace("\tlisinopril Oral Tablet", ""), 20),
        (TEXT.replace("197884\t", "19788x\t"), 20),
        (TEXT.replace("\t29046=Oral Tablet\t", "\t29046 Oral Tablet\t"), 20),
        (TEXT.replace("\t29046=Oral Tablet\t", "\t999=Oral Tablet\t"), 20),
        (TEXT.rpartition("1923428")[0], 1),
    ],
)
def test_a_broken_file_is_told_by_its_line_and_gives_nothing(
    broken: str, line: int
) -> None:
    findings = Findings()

    assert read_expansion(broken, findings) == Expansion()
    (found,) = findings
    assert (found.file, found.code, found.line) == (EXPANSION, "CDS213", line)


def request(code: str, display: str = "", **more: Any) -> dict[str, Any]:
    coding = {"system": RXNORM, "code": code, "display": display}
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [coding]},
        **more,
    }


@pytest.fixture
def expanded(rules: Any) -> Any:
    rules.files[EXPANSION] = TEXT
    return rules


@pytest.mark.parametrize(
    ("medicine", "present"),
    [
        (request("866436"), True),
        (request("866427"), True),
        (request("866479"), True),
        (request("1923428", "Timolol"), True),
        (request("1923424", "Timolol"), False),
        (request("10600", "Timolol 0.5% ophthalmic"), False),
        (request("866436", "x", dosageInstruction=[{"text": "not ophthalmic"}]), True),
        (request("197884", "Lisinopril, to replace metoprolol"), False),
        (request("1", "Metoprolol of a later release"), True),
    ],
)
def test_products_match_by_code_and_not_by_name(
    expanded: Any, chart: Any, medicine: dict[str, Any], present: bool
) -> None:
    patient = chart(requests=[medicine])

    assert expanded.verdict(BETA_BLOCKER, "bb: present", patient) is present


def test_a_product_that_matches_by_code_rests_on_no_name(
    expanded: Any, chart: Any
) -> None:
    patient = chart(requests=[request("866436", "Metoprolol ER 50 mg")])

    (item,) = expanded.evaluate(BETA_BLOCKER, "bb: present", patient).items

    assert item.by_name == ()


def test_a_product_of_which_all_is_known_is_surely_not_another(
    expanded: Any, chart: Any
) -> None:
    drug = "x: {medication: {in: other-drugs}}"
    metoprolol = chart(requests=[request("866436")])
    eye_drops = chart(requests=[request("1923424")])

    assert expanded.verdict(drug, "x: absent", metoprolol) is True
    assert expanded.verdict(BETA_BLOCKER, "bb: absent", eye_drops) is True


def test_a_product_that_holds_something_else_as_well_may_be_another(
    expanded: Any, chart: Any, reasons: Any
) -> None:
    drug = "x: {medication: {in: other-drugs}}"
    combined = chart(requests=[request("866479")])

    assert reasons(expanded.verdict(drug, "x: absent", combined)) == {"unresolved"}
    assert expanded.verdict(BETA_BLOCKER, "bb: absent", combined) is False


def test_an_ingredient_that_was_not_expanded_is_warned_of_and_matched_by_name(
    expanded: Any, chart: Any
) -> None:
    name = "valuesets/beta-blockers.yaml"
    expanded.files[name] = expanded.files[name].replace(
        "name: timolol}", 'name: timolol}\n      - {code: "1202", name: atenolol}'
    )
    patient = chart(requests=[request("197381", "Atenolol 50 MG Oral Tablet")])

    assert expanded.verdict(BETA_BLOCKER, "bb: present", patient) is True
    (found,) = [each for each in expanded.compile().findings if each.file == name]
    assert (found.code, found.line, found.column) == ("CDS214", 11, 16)
    assert "`1202`" in found.message


@pytest.mark.parametrize(
    ("medicine", "said"),
    [
        (request("866479", "metoprolol / hydrochlorothiazide Oral Tablet"), True),
        (request("1923499", "Microzide 12.5 MG Capsule"), True),
        (request("197884", "lisinopril, beside hydrochlorothiazide"), False),
    ],
)
def test_an_ingredient_without_a_code_is_matched_by_name_where_more_may_be_held(
    expanded: Any, chart: Any, medicine: dict[str, Any], said: bool
) -> None:
    name = "valuesets/other-drugs.yaml"
    expanded.files[name] = expanded.files[name].replace(
        '{code: "29046", name: lisinopril}',
        "{name: hydrochlorothiazide, also: [Microzide]}",
    )
    drug = "x: {medication: {in: other-drugs}}"

    verdict = expanded.verdict(drug, "x: present", chart(requests=[medicine]))

    assert verdict is said
    assert [f for f in expanded.compile().findings if f.file == name] == []


def test_the_expansion_is_part_of_what_is_served(rules: Any) -> None:
    before = digest_of(rules.files)

    assert digest_of({**rules.files, EXPANSION: TEXT}) != before
    assert digest_of({**rules.files, "valuesets.lock": "x"}) == before


def test_a_set_that_excludes_an_ingredient_leaves_out_its_products(
    expanded: Any, chart: Any
) -> None:
    expanded.files["valuesets/part.yaml"] = """
        format: 1
        valueset: part
        version: 1.0.0
        title: Part
        include: [{valueset: beta-blockers}]
        exclude: [{system: rxnorm, ingredients: [{code: "10600", name: timolol}]}]
        """
    expanded.verdict(BETA_BLOCKER, "bb: present", chart())

    sets = expanded.compile().rulebook.valuesets

    assert sets["part"].codes[RXNORM] == {"6918", "866436", "866427", "866479"}
    assert sets["beta-blockers"].codes[RXNORM] == {
        *("6918", "866436", "866427", "866479", "10600", "1923428"),
    }


def test_a_product_is_left_out_only_if_all_of_its_forms_are() -> None:
    eye, oral = "Ophthalmic Solution", "Oral Tablet"
    without = [Lexicon().form("ophthalmic"), Lexicon().form("eye")]
    products = {"a": {"1": (eye,), "2": (eye, oral), "3": ()}, "b": {"1": (oral,)}}

    assert meant(Expansion(products), ["a"], without) == ({"2", "3"}, {"1"})
    assert meant(Expansion(products), ["a", "b"], without) == (
        {"1", "2", "3"},
        set(),
    )


def test_a_code_of_the_product_wins_over_one_of_its_ingredient(
    expanded: Any, chart: Any
) -> None:
    both = request("10600", "Timolol")
    both["medicationCodeableConcept"]["coding"] += [
        {"system": RXNORM, "code": "1923424"}
    ]

    verdict = expanded.verdict(BETA_BLOCKER, "bb: present", chart(requests=[both]))

    assert verdict is False


def test_what_one_set_holds_of_a_product_leaves_the_rest_in_doubt_for_others(
    expanded: Any, chart: Any, reasons: Any
) -> None:
    facts = f"{BETA_BLOCKER}\nx: {{medication: {{in: other-drugs}}}}"
    combined = chart(requests=[request("866479")])

    assert reasons(expanded.verdict(facts, "x: absent", combined)) == {"unresolved"}
    assert expanded.verdict(facts, "bb: present", combined) is True


def test_a_product_that_the_import_does_not_list_is_passed_over(
    expanded: Any, chart: Any, reasons: Any
) -> None:
    """What the import lists are all products that hold what the sets name."""
    coded = chart(requests=[request("1", "Eliquis 5 MG Oral Tablet")])
    named = request("1", "Eliquis 5 MG Oral Tablet")
    named["medicationCodeableConcept"] = {"text": "Eliquis 5 mg"}
    worded = chart(requests=[named])

    assert expanded.verdict(BETA_BLOCKER, "bb: present", coded) is False
    assert reasons(expanded.verdict(BETA_BLOCKER, "bb: absent", coded)) == {
        "unresolved"
    }
    assert reasons(expanded.verdict(BETA_BLOCKER, "bb: present", worded)) == {
        "unresolved"
    }


@pytest.mark.parametrize(
    ("code", "name", "codes"),
    [
        ("866436", "metoprolol", ["CDS242"]),
        ("866427", "Toprol", ["CDS242"]),
        ("5487", "hydrochlorothiazide", []),
    ],
)
def test_a_product_among_ingredients_is_told_where_rxnorm_was_imported(
    expanded: Any, code: str, name: str, codes: list[str]
) -> None:
    file = "valuesets/other-drugs.yaml"
    written = f'[{{code: "29046", name: lisinopril}}, {{code: "{code}", name: {name}}}]'
    text = expanded.files[file].replace('[{code: "29046", name: lisinopril}]', written)
    assert text != expanded.files[file]
    expanded.files[file] = text

    told = [e for e in expanded.compile().findings if e.code == "CDS242"]

    assert [each.code for each in told] == codes


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("lisinopril 10 MG Oral Tablet", ["CDS242"]),
        ("lisinopril 2.5mg", ["CDS242"]),
        ("insulin 100 UNT/ML", ["CDS242"]),
        ("timolol 0.5%", ["CDS242"]),
        ("vitamin B12", []),
        ("technetium Tc-99m", []),
        ("factor VIII", []),
        ("omega-3 acids", []),
    ],
)
def test_a_strength_in_its_name_tells_a_product_without_an_import(
    rules: Any, name: str, codes: list[str]
) -> None:
    file = "valuesets/other-drugs.yaml"
    rules.files[file] = rules.files[file].replace("name: lisinopril", f"name: {name}")

    told = [e for e in rules.compile().findings if e.code == "CDS242"]

    assert [each.code for each in told] == codes
