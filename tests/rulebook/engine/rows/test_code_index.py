"""Codes and names of value sets, turned round: where a coded resource belongs."""

from dataclasses import replace
from typing import Any

import pytest

from cds_service.fhir.code_systems import SYSTEMS
from cds_service.rulebook.engine.rows.coded import Coded
from cds_service.rulebook.engine.rows.matching import CodeIndex, Hit, Placing
from cds_service.rulebook.engine.rows.selectors import (
    Group,
    Groups,
    Selector,
    Selectors,
)
from cds_service.rulebook.terminology.expansions import KnownProducts
from cds_service.rulebook.terminology.folding import phrase_of
from cds_service.rulebook.terminology.lexicon import Cues, DoseForm, Lexicon
from cds_service.rulebook.terminology.parts import UNSAID, Measure
from cds_service.rulebook.terminology.valuesets import ValueSet

RXNORM, ATC, ICD = SYSTEMS["rxnorm"], SYSTEMS["atc"], SYSTEMS["icd10cm"]
SNOMED, LOINC = SYSTEMS["snomed"], SYSTEMS["loinc"]
BETA, ACE, EYE = 0, 1, 2
OPHTHALMIC = DoseForm(
    "ophthalmic",
    (phrase_of("ophthalmic"), phrase_of("eye drops")),
    codes=frozenset({(SNOMED, "54485002")}),
    atc=("S01",),
)
ORAL = DoseForm("oral", (phrase_of("tablet"),), codes=frozenset({(SNOMED, "26643006")}))
LEXICON = Lexicon(
    {"ophthalmic": OPHTHALMIC, "oral": ORAL},
    denied=Cues(before=(phrase_of("no"),), after=(phrase_of("excluded"),)),
    doubtful=Cues(before=(phrase_of("instead of"),)),
    no_medicines=(phrase_of("test strips"),),
)
KNOWN = KnownProducts(
    frozenset({"6918", "10600", "866436", "866479", "1923424"}),
    mixed=frozenset({"866479"}),
    formless=frozenset({"6918", "10600"}),
)


def valueset(name: str, **more: Any) -> ValueSet:
    return ValueSet(name, **more)


SETS = {
    "beta": valueset(
        "beta",
        codes={RXNORM: frozenset({"6918", "10600"})},
        prefixes={ATC: ("C07",)},
        names=("metoprolol", "lopressor", "toprol xl", "timolol"),
        called={
            "metoprolol": "metoprolol",
            "lopressor": "metoprolol",
            "toprol xl": "metoprolol",
            "timolol": "timolol",
        },
        coded={
            (RXNORM, "6918"): "metoprolol",
            (RXNORM, "10600"): "timolol",
            (ATC, "C07AB02"): "metoprolol",
        },
        excluded_forms=("ophthalmic",),
        forms=(OPHTHALMIC,),
    ),
    "ace": valueset(
        "ace",
        codes={RXNORM: frozenset({"29046"})},
        names=("lisinopril",),
        called={"lisinopril": "lisinopril"},
        excluded_names=("hydrochlorothiazide",),
        excluded_words=("placebo",),
        excluded_codes={RXNORM: frozenset({"197885"})},
    ),
}


def index_of(sets: dict[str, ValueSet] = SETS) -> CodeIndex:
    """An index of two sets, which remembers nothing of other tests."""
    return CodeIndex({BETA: "beta", ACE: "ace"}, sets, LEXICON)


def medicine(
    *codings: tuple[str, str], names: tuple[str, ...] = (), **holder: Any
) -> Coded:
    return Coded([(*each, "") for each in codings], holder, names)


@pytest.mark.parametrize(
    ("coded", "hits", "known"),
    [
        (medicine((RXNORM, "6918")), {BETA: Hit(f"{RXNORM}|6918")}, True),
        (medicine((ATC, "C07AB02")), {BETA: Hit(f"{ATC}|C07AB02")}, True),
        (medicine((RXNORM, "29046")), {ACE: Hit(f"{RXNORM}|29046")}, True),
        (medicine((RXNORM, "1364430")), {}, False),
        (medicine((RXNORM, "691")), {}, False),
        (medicine(("http://example.org", "6918")), {}, False),
        (medicine(), {}, False),
        # The first code that matches counts.
        (
            medicine((ATC, "C07AB02"), (RXNORM, "6918")),
            {BETA: Hit(f"{ATC}|C07AB02")},
            True,
        ),
        (
            medicine((RXNORM, "1"), (RXNORM, "6918"), (RXNORM, "29046")),
            {BETA: Hit(f"{RXNORM}|6918"), ACE: Hit(f"{RXNORM}|29046")},
            True,
        ),
        # A name counts beside them, and never over them.
        (medicine(names=("Lopressor 50",)), {BETA: Hit("", "Lopressor 50")}, True),
        (
            medicine((RXNORM, "6918"), names=("Lisinopril", "Lopressor")),
            {BETA: Hit(f"{RXNORM}|6918"), ACE: Hit("", "Lisinopril")},
            True,
        ),
        (medicine(names=("Eliquis 5 mg",)), {}, False),
        (medicine(names=("Test strips",)), {}, True),
    ],
    ids=str,
)
def test_a_medicine_belongs_where_its_codes_and_names_say(
    coded: Coded, hits: dict[int, Hit], known: bool
) -> None:
    assert index_of().find(coded) == Placing(hits, known, {})
    assert all(hit.by_name is not bool(hit.code) for hit in hits.values())


@pytest.mark.parametrize(
    ("coded", "hits"),
    [
        (medicine(names=("Timolol eye drops",)), []),
        (medicine(names=("Timolol tablet",)), [BETA]),
        (medicine((ATC, "S01ED01"), names=("Timolol",)), []),
        (medicine((ATC, "s01ed01"), names=("Timolol",)), []),
        (medicine((RXNORM, "10600")), [BETA]),
        # A route outranks a dose form, and both outrank the words of a name.
        (
            medicine(
                names=("Timolol eye drops",),
                dosageInstruction=[{"route": {"text": "tablet"}}],
            ),
            [BETA],
        ),
        (
            medicine(
                names=("Timolol tablet",),
                dosageInstruction=[
                    {"route": {"coding": [{"system": SNOMED, "code": "54485002"}]}}
                ],
            ),
            [],
        ),
        (
            medicine(
                names=("Timolol eye drops",),
                dosageInstruction=[{"route": {"text": "by itself"}}],
            ),
            [],
        ),
        # Of the other set: a partner, a word, a code.
        (medicine(names=("Lisinopril",)), [ACE]),
        (medicine(names=("Lisinopril / Hydrochlorothiazide",)), []),
        (medicine(names=("Lisinopril, no hydrochlorothiazide",)), [ACE]),
        (medicine((RXNORM, "29046"), names=("hydrochlorothiazide excluded",)), [ACE]),
        (medicine((RXNORM, "29046"), names=("excluded hydrochlorothiazide",)), []),
        (medicine(names=("Lisinopril placebo",)), []),
        (medicine((RXNORM, "29046"), (RXNORM, "197885")), []),
    ],
    ids=str,
)
def test_what_a_set_rules_out_is_not_of_it_although_it_matches(
    coded: Coded, hits: list[int]
) -> None:
    placing = index_of().find(coded)

    assert sorted(placing.hits) == hits
    assert placing.known


@pytest.mark.parametrize(
    ("codings", "meant"),
    [
        ((), {BETA: "instead of metoprolol"}),
        (((RXNORM, "1"),), {BETA: "instead of metoprolol"}),
        (((SNOMED, "1"), (RXNORM, "1")), {BETA: "instead of metoprolol"}),
        # Known to be something else, or of a system that has all of the set.
        (((RXNORM, "29046"),), {}),
        (((ATC, "B01AA03"),), {}),
        (((RXNORM, "1"), (ATC, "B01AA03")), {}),
    ],
)
def test_a_name_that_may_be_meant_leaves_open_what_no_code_settles(
    codings: tuple[tuple[str, str], ...], meant: dict[int, str]
) -> None:
    placing = index_of().find(medicine(*codings, names=("instead of metoprolol",)))

    assert placing.meant == meant
    assert BETA not in placing.hits


def test_a_text_names_a_hundred_medicines_at_most() -> None:
    most = " ".join(["metoprolol"] * 100)
    more = f"{most} metoprolol"

    assert index_of().find(medicine(names=(most,))).hits == {BETA: Hit("", most)}
    assert index_of().find(medicine(names=(more,))) == Placing({}, False, {BETA: more})


def test_a_name_that_is_denied_is_no_name_and_one_that_is_meant_ends_the_doubt() -> (
    None
):
    denied = index_of().find(medicine(names=("no metoprolol",)))
    both = index_of().find(medicine(names=("instead of metoprolol", "Lopressor")))

    assert denied == Placing({}, False, {})
    assert both == Placing({BETA: Hit("", "Lopressor")}, True, {})


@pytest.mark.parametrize(
    "excluded",
    [
        {"excluded_codes": {ATC: frozenset({"C07AB07"})}},
        {"excluded_prefixes": {ATC: ("C07AB",)}},
        {"excluded_forms": ("ophthalmic",), "forms": (OPHTHALMIC,)},
        {"excluded_names": ("lisinopril",)},
        {"excluded_words": ("placebo",)},
    ],
    ids=str,
)
def test_a_set_may_rule_out_in_one_way_alone(excluded: dict[str, Any]) -> None:
    atc = {ATC: ("C07",)}
    sets = {
        "some": valueset("some", prefixes=atc, **excluded),
        "all": valueset("all", prefixes=atc),
    }
    index = CodeIndex({0: "some", 1: "all"}, sets, LEXICON)

    ruled_out = medicine((ATC, "C07AB07"), names=("placebo", "lisinopril", "eye drops"))
    assert sorted(index.find(ruled_out).hits) == [1]
    assert sorted(index.find(medicine((ATC, "C07AA05"))).hits) == [0, 1]


def test_where_no_set_has_names_no_name_is_read() -> None:
    index = CodeIndex({0: "a"}, {"a": valueset("a", prefixes={ATC: ("C07",)})}, LEXICON)

    assert index.find(medicine(names=("Test strips",))) == Placing({}, False, {})


def test_a_code_of_two_sets_belongs_to_both_and_so_does_one_of_three() -> None:
    shared = {RXNORM: frozenset({"6918", "10600"})}
    three = {name: valueset(name, codes=shared) for name in ("a", "b", "c")}
    alone = valueset("d", codes={RXNORM: frozenset({"6918"})})
    index = CodeIndex({0: "a", 1: "b", 2: "c", 3: "d"}, {**three, "d": alone})

    assert sorted(index.find(medicine((RXNORM, "6918"))).hits) == [0, 1, 2, 3]
    assert sorted(index.find(medicine((RXNORM, "10600"))).hits) == [0, 1, 2]


def test_what_follows_the_next_name_is_said_of_that_one() -> None:
    both = index_of().find(medicine(names=("metoprolol lisinopril excluded",)))

    assert sorted(both.hits) == [BETA]


def test_what_a_set_rules_out_is_not_meant_either() -> None:
    drops = index_of().find(medicine(names=("instead of timolol eye drops",)))

    assert drops == Placing({}, False, {})


@pytest.mark.parametrize(
    ("display", "hits"),
    [
        ("Timolol 5 MG/ML Ophthalmic Solution", []),
        ("Ophthalmic Brand timolol 5 MG Oral Tablet", [BETA]),
        ("Timolol Ophthalmic Solution", []),
        ("Timolol", [BETA]),
    ],
)
def test_in_a_name_of_rxnorm_the_form_stands_after_the_strength(
    display: str, hits: list[int]
) -> None:
    coded = Coded([(RXNORM, "1", display)], {}, (display,))

    assert sorted(index_of().find(coded).hits) == hits


def test_in_other_names_the_form_stands_anywhere() -> None:
    named = medicine(names=("Ophthalmic Brand timolol 5 MG Tablet",))

    assert sorted(index_of().find(named).hits) == []


def test_an_ingredient_that_goes_by_one_name_only_is_called_so() -> None:
    index = index_of(WITH_RELEASE)

    assert index.ingredients(["Metoprolol", "no lisinopril"]) == {"metoprolol"}
    assert index.goes_by(BETA, "", "Metoprolol 50 mg") == ("metoprolol",)


def test_names_are_of_ingredients_each_by_one_name() -> None:
    names = ["Lopressor 50 mg", "metoprolol and lisinopril", "Eliquis", "Test strips"]

    assert index_of().ingredients(names) == {"metoprolol", "lisinopril"}
    assert index_of().ingredients([]) == frozenset()


@pytest.mark.parametrize(
    ("slot", "code", "text", "ingredients"),
    [
        (BETA, f"{RXNORM}|6918", "", ("metoprolol",)),
        (BETA, f"{RXNORM}|10600", "Metoprolol", ("timolol",)),
        (BETA, f"{ATC}|c07ab02", "", ("metoprolol",)),
        (BETA, "", "Lopressor 50 mg", ("metoprolol",)),
        (BETA, "", "Timolol and Lopressor", ("timolol", "metoprolol")),
        (BETA, "", "Take Toprol XL 50 mg", ("metoprolol",)),
        (BETA, "", "Lisinopril", ()),
        (BETA, f"{RXNORM}|1", "Eliquis", ()),
        (BETA, "", "no Lopressor", ()),
        # A set of one ingredient names it whatever the record calls it.
        (ACE, f"{RXNORM}|1", "Zestril", ("lisinopril",)),
    ],
)
def test_a_row_goes_by_the_ingredients_of_its_set(
    slot: int, code: str, text: str, ingredients: tuple[str, ...]
) -> None:
    assert index_of().goes_by(slot, code, text) == ingredients


WITH_RELEASE = {
    "beta": valueset(
        "beta",
        codes={RXNORM: frozenset({"6918", "866436", "866479"})},
        names=("metoprolol",),
        excluded_forms=("ophthalmic",),
        forms=(OPHTHALMIC,),
        known=KNOWN,
    ),
    "ace": valueset(
        "ace", codes={SNOMED: frozenset({"386873009"})}, names=("lisinopril",)
    ),
}


@pytest.mark.parametrize(
    ("coded", "hits", "known", "meant"),
    [
        (medicine((RXNORM, "866436")), [BETA], True, []),
        # It holds something else as well, which nothing here names.
        (medicine((RXNORM, "866479")), [BETA], False, []),
        # The release tells all that it holds: no beta-blocker, whatever its name says.
        (medicine((RXNORM, "10600"), names=("Metoprolol",)), [], True, []),
        (medicine((RXNORM, "10600"), names=("Lisinopril",)), [ACE], True, []),
        (medicine((RXNORM, "1"), names=("Metoprolol",)), [BETA], True, []),
        # A number of the release is none of another system.
        (medicine((SNOMED, "10600")), [], False, []),
        # Its code says its dose form, so that no words need to.
        (medicine((RXNORM, "866436"), names=("eye drops",)), [BETA], True, []),
        (medicine((RXNORM, "6918"), names=("eye drops",)), [], True, []),
    ],
    ids=str,
)
def test_a_product_of_a_release_is_judged_by_its_code(
    coded: Coded, hits: list[int], known: bool, meant: list[int]
) -> None:
    index = index_of(WITH_RELEASE)

    placing = index.find(coded)

    assert (sorted(placing.hits), placing.known) == (hits, known)
    assert sorted(placing.meant) == meant


DROPS = [{"text": "1 eye drops twice a day"}]


@pytest.mark.parametrize(
    ("coded", "meant"),
    [
        (medicine(names=("Betimol", "Timolol")), "Timolol"),
        (medicine((RXNORM, "10600"), names=("Betimol",)), "Betimol"),
        (Coded([(RXNORM, "10600", "timolol")], {}, ("Betimol",)), "timolol"),
        (Coded([(SNOMED, "1", "x"), (RXNORM, "10600", "timolol")], {}), "timolol"),
        (medicine((RXNORM, "10600")), ""),
    ],
    ids=str,
)
def test_what_a_dosage_leaves_open_is_called_as_the_record_calls_it(
    coded: Coded, meant: str
) -> None:
    dosed = replace(coded, holder={"dosageInstruction": DROPS})

    assert index_of().find(dosed) == Placing({}, True, {BETA: meant})


def test_a_dosage_leaves_open_only_what_no_code_of_a_product_tells() -> None:
    index = index_of(WITH_RELEASE)
    ingredient = medicine((RXNORM, "6918"), dosageInstruction=DROPS)
    product = medicine((RXNORM, "866436"), dosageInstruction=DROPS)
    other = medicine((RXNORM, "6918"), (SNOMED, "866436"), dosageInstruction=DROPS)

    assert sorted(index.find(ingredient).meant) == [BETA]
    assert sorted(index.find(product).hits) == [BETA]
    assert sorted(index.find(other).meant) == [BETA]


def test_a_panel_leads_to_every_selector_that_may_want_a_part_of_it() -> None:
    pressure, vital = (LOINC, "85354-9"), (LOINC, "85353-1")
    sets = {
        "systolic": valueset("systolic", panels=frozenset({pressure, vital})),
        "diastolic": valueset("diastolic", panels=frozenset({pressure})),
    }
    index = CodeIndex({0: "systolic", 1: "diastolic"}, sets, LEXICON)

    assert index.panels == {pressure: [0, 1], vital: [0]}


def problems() -> CodeIndex:
    diabetes = valueset(
        "diabetes", prefixes={ICD: ("E119", "E10")}, words=("diabetes",)
    )
    foot = valueset("foot", codes={ICD: frozenset({"E1142"})}, words=("foot",))
    sets = {"diabetes": diabetes, "foot": foot}
    return CodeIndex({0: "diabetes", 1: "foot"}, sets, LEXICON)


@pytest.mark.parametrize(
    ("code", "display", "hits", "meant"),
    [
        ("E11.9", "", [0], {}),
        ("E11.90", "", [0], {}),
        ("E10", "", [0], {}),
        ("E10.1", "", [0], {}),
        ("E11.42", "", [1], {}),
        ("E11.421", "", [], {}),
        # Broader than what a set has: it may be meant.
        ("E11", "Type 2", [], {0: "Type 2", 1: "Type 2"}),
        ("E11.4", "", [], {1: "E11.4"}),
        ("E1", "", [], {}),
        ("E12", "", [], {}),
        ("E11.9" + "0" * 60, "", [0], {}),
    ],
)
def test_a_code_is_listed_or_begins_as_listed_or_is_broader(
    code: str, display: str, hits: list[int], meant: dict[int, str]
) -> None:
    placing = problems().find(Coded([(ICD, code, display)], {}))

    assert sorted(placing.hits) == hits
    assert all(hit.code == f"{ICD}|{code}" for hit in placing.hits.values())
    assert placing.meant == meant
    assert placing.known is bool(hits)


def test_a_broader_code_beside_one_that_is_listed_means_nothing_more() -> None:
    placing = problems().find(Coded([(ICD, "E11", "Type 2"), (ICD, "E11.9", "")], {}))

    assert sorted(placing.hits) == [0]
    assert placing.meant == {1: "Type 2"}


def test_a_text_that_denies_a_problem_again_and_again_is_no_name_and_denies_none() -> (
    None
):
    denials = " ".join(["no diabetes"] * 100)

    assert problems().denied([denials]) == {0}
    assert problems().worded([denials]) == set()
    assert problems().denied([f"{denials} no diabetes"]) == set()
    assert problems().worded([f"{denials} no diabetes"]) == {0}


def test_words_for_a_problem_are_found_in_any_of_the_texts() -> None:
    assert problems().worded(["Diabetic foot", "Type 2 diabetes"]) == {0, 1}
    assert problems().worded(["Asthma"]) == set()
    assert problems().worded([]) == set()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("instead of diabetes", True),
        ("no diabetes", False),
        ("asthma, no diabetes", False),
        ("diabetes excluded", False),
        ("excluded diabetes", True),
    ],
)
def test_words_for_a_problem_that_are_denied_do_not_name_it(
    text: str, meant: bool
) -> None:
    assert problems().worded([text]) == ({0} if meant else set())


def test_the_systems_that_settle_membership_are_those_that_have_the_whole_set() -> None:
    index = CodeIndex(
        {0: "beta", 1: "ace", 2: "diabetes"},
        {
            **SETS,
            "diabetes": valueset(
                "diabetes",
                codes={SNOMED: frozenset({"44054006"})},
                prefixes={ICD: ("E11",)},
                partial=frozenset({SNOMED}),
            ),
        },
    )

    nameless = valueset("nameless", codes={RXNORM: frozenset({"6918"})})
    assert CodeIndex({0: "nameless"}, {"nameless": nameless}).settled(0) == {RXNORM}
    assert index.settled(0) == {ATC}
    assert index.settled(1) == set()
    assert index.settled(2) == {ICD}


DRUGS = Group(0, Selector("medication"), frozenset({ATC}), {0})
WORDED = Group(1, Selector("condition"), frozenset({ICD, SNOMED}), {1}, ("diabetes",))
ANYTHING = Group(2, Selector("condition"), frozenset(), {2})


@pytest.mark.parametrize(
    ("systems", "left", "with_words"),
    [
        ((), [DRUGS, WORDED, ANYTHING], [DRUGS, WORDED, ANYTHING]),
        (("http://example.org",), [DRUGS, WORDED, ANYTHING], [DRUGS, WORDED, ANYTHING]),
        ((ATC,), [WORDED, ANYTHING], [WORDED, ANYTHING]),
        ((ICD,), [DRUGS, ANYTHING], [DRUGS, WORDED, ANYTHING]),
        ((ICD, SNOMED), [DRUGS, ANYTHING], [DRUGS, WORDED, ANYTHING]),
        ((ATC, ICD), [ANYTHING], [WORDED, ANYTHING]),
        ((ICD, "http://example.org", ATC), [ANYTHING], [WORDED, ANYTHING]),
    ],
)
def test_codes_leave_in_doubt_the_groups_that_none_of_their_systems_settles(
    systems: tuple[str, ...], left: list[Group], with_words: list[Group]
) -> None:
    groups = Groups([DRUGS, WORDED, ANYTHING])
    written = {ATC: "C07AB02", ICD: "E11.9"}
    codings = [(system, written.get(system, "1"), "") for system in systems]

    assert list(groups.left_by(codings, worded=False)) == left
    assert list(groups.left_by(codings, worded=True)) == with_words


def test_what_is_no_code_of_its_system_leaves_all_in_doubt() -> None:
    groups = Groups([DRUGS, WORDED, ANYTHING])

    assert groups.left_by([(ICD, "IMO0001", "")], worded=False) == groups.all
    assert groups.left_by([(ATC, "digoxin", "")], worded=True) == groups.all


def test_selectors_that_leave_the_same_in_doubt_share_a_group() -> None:
    def asked(status: str = "active", **more: Any) -> Selector:
        return Selector(
            "condition", more.pop("name", "diabetes"), status=status, **more
        )

    sets = {
        "diabetes": valueset("diabetes", prefixes={ICD: ("E11",)}, words=("diabetes",)),
        "other": valueset("other", prefixes={ICD: ("E10",)}, words=("diabetes",)),
        "listed": valueset("listed", codes={ICD: frozenset({"I10"})}),
        "drug": valueset("drug", prefixes={ATC: ("C07",)}, names=("metoprolol",)),
    }
    selectors = Selectors(
        [
            Selector("wearable_alert", types=("low-heart-rate", "another")),
            asked(),
            asked(name="other"),
            asked("any"),
            asked(confirmed=True),
            asked(categories=("problem-list-item",)),
            asked(name="listed"),
            Selector("medication", "drug"),
        ],
        sets,
    )

    conditions = selectors.groups_of["condition", "chart"].all
    assert [sorted(each.slots) for each in conditions] == [[1, 2], [3], [4], [5], [6]]
    assert selectors.group_of == {1: 0, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4, 7: 5}
    assert [each.number for each in selectors.groups] == [0, 1, 2, 3, 4, 5]
    assert conditions[0].words == ("diabetes",)
    assert conditions[0].listed == frozenset()
    assert conditions[4].listed == {ICD}
    (drugs,) = selectors.groups_of["medication", "chart"].all
    assert (drugs.words, drugs.listed, drugs.settled) == ((), frozenset(), {ATC})
    assert dict(selectors.of_type) == {"low-heart-rate": [0], "another": [0]}
    assert selectors.has_import is False


def test_a_medicine_is_held_against_all_drugs_and_a_problem_against_what_is_asked() -> (
    None
):
    sets = {
        **SETS,
        "diabetes": valueset("diabetes", prefixes={ICD: ("E11",)}),
        "drug": valueset("drug", prefixes={ATC: ("B01",)}, names=("apixaban",)),
    }
    asked = [Selector("medication", "beta"), Selector("condition", "diabetes")]
    selectors = Selectors(asked, sets, LEXICON)
    drugs = selectors.indexes["medication", "chart"]
    problems = selectors.indexes["condition", "chart"]

    assert drugs.find(medicine((ATC, "B01AF02"))).known
    assert not drugs.find(medicine((ICD, "E119"))).known
    assert problems.find(medicine((ICD, "E119"))).known
    assert not problems.find(medicine((ATC, "B01AF02"))).known
    assert drugs.find(medicine(names=("Test strips",))).known
    assert selectors.lexicon is LEXICON


def test_what_the_results_of_a_set_measure_is_known_by_the_selector() -> None:
    rate = Measure(unit="/min")
    asked = [Selector("observation", "rate"), Selector("wearable_alert")]

    selectors = Selectors(asked, {"rate": valueset("rate", measure=rate)})

    assert selectors.measures == (rate, UNSAID)


def test_a_release_of_one_set_is_one_of_all() -> None:
    selectors = Selectors([Selector("medication", "beta")], WITH_RELEASE)

    assert selectors.has_import is True
    # Every drug set helps to recognise a medicine, used by a rule or not.
    lisinopril = medicine(names=("Lisinopril",))
    assert selectors.indexes["medication", "chart"].find(lisinopril).known


@pytest.mark.parametrize(
    ("text", "hits", "doubtful"),
    [
        ("Lisinopril for metoprolol", [ACE], [BETA]),
        ("Lisinopril for metoprolol, lisinopril", [ACE], [BETA]),
        # Two names of one medicine, which is denied by the first of them alone.
        ("Lopressor excluded, for metoprolol", [BETA], []),
        ("Toprol XL excluded, for Lopressor", [BETA], []),
        ("Metoprolol excluded, for metoprolol", [BETA], []),
        ("Lisinopril excluded, for lisinopril", [ACE], []),
    ],
)
def test_what_stands_between_two_medicines_is_said_of_the_second(
    text: str, hits: list[int], doubtful: list[int]
) -> None:
    lexicon = replace(LEXICON, between=Cues(before=(phrase_of("for"),)))
    sets = {**SETS, "ace": replace(SETS["ace"], called={})}
    index = CodeIndex({BETA: "beta", ACE: "ace"}, sets, lexicon)

    placing = index.find(medicine(names=(text,)))

    assert (list(placing.hits), list(placing.meant)) == (hits, doubtful)
