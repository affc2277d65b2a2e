from collections.abc import Collection, Mapping

import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.valuesets import (
    SYSTEMS,
    ValueSet,
    build_valuesets,
    overlay_names,
)

RXNORM, ICD, ATC = SYSTEMS["rxnorm"], SYSTEMS["icd10cm"], SYSTEMS["atc"]
LOINC, SNOMED = SYSTEMS["loinc"], SYSTEMS["snomed"]


def build(
    files: Mapping[str, str], overlays: Collection[str] = ()
) -> tuple[Mapping[str, ValueSet], list[tuple[int, int, str, str]]]:
    findings = Findings()
    documents = [
        parse_yaml(text, f"valuesets/{name}.yaml", findings)
        for name, text in files.items()
    ]
    read = [each for each in documents if each is not None]
    assert len(read) == len(files)
    built = build_valuesets(read, overlays, findings)
    return built, [(f.line, f.column, f.code, f.message) for f in findings]


def test_a_set_holds_codes_prefixes_ingredients_and_panels() -> None:
    built, found = build({"bb": """\
valueset: bb
title: Beta-blockers
version: 2026.11.0
include:
  - system: rxnorm
    ingredients: [{code: 6918, name: Metoprolol}]
  - system: atc
    under: [c07]
  - system: loinc
    codes: [8480-6]
    panels: [85354-9]
"""})

    assert found == []
    assert built["bb"] == ValueSet(
        name="bb",
        title="Beta-blockers",
        version="2026.11.0",
        codes={RXNORM: frozenset({"6918"}), LOINC: frozenset({"8480-6"})},
        prefixes={ATC: ("C07",)},
        names=("metoprolol",),
        panels=frozenset({(LOINC, "85354-9")}),
        ingredients=frozenset({"6918"}),
    )
    assert built["bb"].systems == {RXNORM, LOINC, ATC}


def test_an_ingredient_is_found_by_all_its_names_and_brands() -> None:
    built, found = build({"bb": """\
valueset: bb
include:
  - system: rxnorm
    ingredients:
      - { code: 435, name: Albuterol, also: [salbutamol, Ventolin HFA] }
"""})

    assert found == []
    assert built["bb"].names == ("albuterol", "salbutamol", "ventolin hfa")
    assert built["bb"].codes == {RXNORM: {"435"}}
    assert built["bb"].uncoded == ()


def test_an_ingredient_without_a_code_is_found_by_its_names_alone() -> None:
    built, found = build({"a": """\
valueset: a
include: [{system: rxnorm, ingredients: [{name: Amiloride, also: [Midamor]}]}]
"""})

    assert found == []
    assert built["a"].names == ("amiloride", "midamor")
    assert built["a"].uncoded == ("amiloride",)
    assert (built["a"].codes, built["a"].ingredients) == ({}, frozenset())


def test_an_excluded_ingredient_takes_all_its_names_away() -> None:
    built, found = build({"a": """\
valueset: a
include:
  - system: rxnorm
    ingredients:
      - { name: x-one, also: [Brand X] }
      - { code: 2, name: y-two, also: [Brand Y] }
exclude:
  - system: rxnorm
    ingredients: [{ name: x-one, also: [Brand X] }]
"""})

    assert found == []
    assert built["a"].names == ("brand y", "y-two")
    assert built["a"].uncoded == ()


def test_a_set_has_the_ingredients_without_a_code_of_those_it_includes() -> None:
    built, found = build(
        {
            "a": """\
valueset: a
include:
  - valueset: b
  - system: rxnorm
    ingredients: [{ code: 3, name: z-three }]
""",
            "b": """\
valueset: b
include:
  - system: rxnorm
    ingredients: [{ name: x-one }, { name: z-three }]
""",
        }
    )

    assert found == []
    assert built["a"].uncoded == ("x-one",), "this set knows the code of the other"
    assert built["b"].uncoded == ("x-one", "z-three")


def test_a_name_that_stands_twice_in_an_entry_is_told() -> None:
    _, found = build({"a": """\
valueset: a
include:
  - system: rxnorm
    ingredients:
      - { code: 435, name: albuterol, also: [salbutamol] }
      - { name: Salbutamol }
"""})

    assert found == [(6, 17, "CDS211", "`Salbutamol` is listed twice")]


def test_what_is_excluded_is_not_held_even_if_included() -> None:
    built, found = build({"af": """\
valueset: af
include:
  - system: icd10cm
    under: [I48]
    codes: [R00.0]
exclude:
  - system: icd10cm
    codes: [I48.3, R00.0]
    under: [I48.9]
  - dose_forms: [Ophthalmic]
"""})

    held = {
        code: built["af"].holds(ICD, code)
        for code in ("I48", "I480", "I483", "I4891", "R000", "E10")
    }

    assert found == []
    assert held == {
        "I48": True,
        "I480": True,
        "I483": False,
        "I4891": False,
        "R000": False,
        "E10": False,
    }
    assert not built["af"].holds(SNOMED, "I480")
    assert built["af"].excluded_forms == ("ophthalmic",)


def test_a_set_includes_another_with_all_that_it_excludes() -> None:
    built, found = build(
        {
            "a": "valueset: a\ninclude:\n  - valueset: b\n  - valueset: c\n",
            "b": """\
valueset: b
include: [{system: icd10cm, under: [I48]}]
exclude: [{system: icd10cm, codes: [I48.3, I48.4]}, {dose_forms: [eye]}]
""",
            "c": "valueset: c\ninclude: [{system: icd10cm, codes: [I48.4]}]\n",
        }
    )

    assert found == []
    assert built["a"].holds(ICD, "I480")
    assert not built["a"].holds(ICD, "I483")
    assert built["a"].holds(ICD, "I484"), "another part of the set holds it"
    assert built["a"].excluded_forms == ("eye",)


def test_a_whole_set_can_be_excluded() -> None:
    built, found = build(
        {
            "a": """\
valueset: a
include: [{system: rxnorm, ingredients: [{code: 1, name: x}, {code: 2, name: y}]}]
exclude: [{valueset: b}]
""",
            "b": """\
valueset: b
include: [{system: rxnorm, ingredients: [{code: 2, name: y}]}]
""",
        }
    )

    assert found == []
    assert built["a"].codes == {RXNORM: {"1"}}
    assert built["a"].names == ("x",)


OVERLAID = {
    "af": "valueset: af\ninclude: [{system: icd10cm, under: [I48]}]\n",
    "snomed/af": "extends: af\ninclude: [{system: snomed, codes: [49436004]}]\n",
}


@pytest.mark.parametrize(("overlays", "held"), [((), False), (("snomed",), True)])
def test_an_overlay_counts_only_where_the_site_lists_it(
    overlays: Collection[str], held: bool
) -> None:
    built, found = build(OVERLAID, overlays)

    assert found == []
    assert list(built) == ["af"]
    assert built["af"].holds(SNOMED, "49436004") is held
    assert built["af"].holds(ICD, "I480")


def test_the_overlays_are_the_folders_that_extend_sets() -> None:
    documents = [
        parse_yaml(text, f"valuesets/{name}.yaml", Findings())
        for name, text in {**OVERLAID, "cardiology/x": "valueset: x\n"}.items()
    ]

    assert overlay_names([each for each in documents if each]) == {"snomed"}


BROKEN = [
    (
        {
            "a": "valueset: a\ninclude:\n  - valueset: bb\n",
            "b": ("valueset: b\ninclude: [{system: atc, under: [C07]}]\n"),
        },
        (3, 15, "CDS202"),
        "`bb` does not exist",
    ),
    (
        {"a": "valueset: b\ninclude: [{system: atc, under: [C07]}]\n"},
        (1, 11, "CDS203"),
        "named `a`",
    ),
    (
        {"a": "valueset: a\ninclude: [{system: atc, under: [C07]}, {valueset: a}]\n"},
        (2, 51, "CDS204"),
        "a → a",
    ),
    (
        {"a": "valueset: a\ninclude: [{system: rxnrom, codes: [1]}]\n"},
        (2, 20, "CDS205"),
        "`rxnrom` is not a code system",
    ),
    (
        {"a": "valueset: a\ninclude: [{system: snomed, under: [49436004]}]\n"},
        (2, 28, "CDS206"),
        "`under`",
    ),
    (
        {
            "a": (
                "valueset: a\n"
                "include: [{system: atc, ingredients: [{code: C07, name: x}]}]\n"
            )
        },
        (2, 20, "CDS207"),
        "RxNorm",
    ),
    (
        {"a": "valueset: a\ninclude: [{system: loinc, codes: [I48.0]}]\n"},
        (2, 35, "CDS208"),
        "`I48.0`",
    ),
    (
        {"a": "valueset: a\ninclude: [{system: loinc, codes: [40443-5]}]\n"},
        (2, 35, "CDS209"),
        "check digit",
    ),
    (
        {
            "a": "valueset: a\ninclude: [{system: atc, under: [C07]}]\n",
            "x": ("extends: a\ninclude: [{system: atc, under: [C08]}]\n"),
        },
        (1, 1, "CDS210"),
        "folder of its overlay",
    ),
    (
        {"a": "valueset: a\ninclude: [{system: icd10cm, codes: [I48.0, i480]}]\n"},
        (2, 44, "CDS211"),
        "twice",
    ),
    (
        {
            "a": (
                "valueset: a\ninclude: [{system: atc, codes: [C07]}]\n"
                "exclude: [{system: atc, codes: [C07]}]\n"
            )
        },
        (2, 1, "CDS212"),
        "is empty",
    ),
    (
        {
            "a": "valueset: a\ninclude: [{system: atc, under: [C07]}]\n",
            "x/a": "valueset: a\ninclude: [{system: atc, under: [C08]}]\n",
        },
        (1, 11, "CDS201"),
        "already in valuesets/a.yaml",
    ),
    (
        {"snomed/a": "extends: a\ninclude: [{system: atc, under: [C07]}]\n"},
        (1, 10, "CDS202"),
        "`a` does not exist",
    ),
]


@pytest.mark.parametrize(("files", "place", "said"), BROKEN)
def test_what_is_wrong_with_a_set_is_told_at_its_place(
    files: Mapping[str, str], place: tuple[int, int, str], said: str
) -> None:
    _, found = build(files)

    told = {(line, column, code): message for line, column, code, message in found}
    assert place in told
    assert said in told[place]


def test_a_long_row_of_sets_that_include_each_other_is_not_followed() -> None:
    files = {
        f"s{n}": f"valueset: s{n}\ninclude: [{{valueset: s{n + 1}}}]\n"
        for n in range(2000)
    }
    files["s2000"] = "valueset: s2000\ninclude: [{system: atc, under: [C07]}]\n"

    _, found = build(files)

    assert any("in a row" in message for *_, message in found)


@pytest.mark.parametrize("written", ["I48.9", "i489", "I489", " i48.9 "])
@pytest.mark.parametrize("system", ["icd10cm", "urn:oid:2.16.840.1.113883.6.90"])
def test_prefixes_of_icd_need_no_dot_and_no_case(written: str, system: str) -> None:
    built, _ = build({"a": (
        "valueset: a\n"
        f"include: [{{system: '{system}', under: ['{written}']}}]\n"
    )})  # fmt: skip

    assert built["a"].prefixes == {ICD: ("I489",)}
    assert built["a"].holds(ICD, "I4891")
    assert not built["a"].holds(ICD, "I48")


def test_prefixes_of_atc_are_any_level_in_any_case() -> None:
    built, _ = build(
        {"a": "valueset: a\ninclude: [{system: atc, under: [c07a, B01AF02]}]\n"}
    )

    assert built["a"].holds(ATC, "C07AB02")
    assert built["a"].holds(ATC, "B01AF02")
    assert not built["a"].holds(ATC, "C07BB02")


def test_codes_that_begin_with_what_is_excluded_are_not_among_the_codes() -> None:
    built, _ = build({"a": """\
valueset: a
include: [{system: icd10cm, codes: [I48.91, I48.0]}]
exclude: [{system: icd10cm, under: [I48.9]}]
"""})

    assert built["a"].codes == {ICD: {"I480"}}
