"""``cds-service valueset`` over a folder, a release and charts of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.fhir.models import check_resource
from cds_service.rulebook.load import check_folder

FILES = {
    "site.yaml": "format: 1\ntime_zone: America/New_York\nunapproved: serve\n",
    "services.yaml": """\
format: 1
services:
  - {id: review, hooks: [patient-view], title: Review, description: R., rules: [slow]}
""",
    "alert-types.yaml": """\
format: 1
alert_types: {low-heart-rate: {title: Low heart rate, metric: heart-rate, unit: /min}}
""",
    "slow.yaml": """\
format: 1
rule: slow
version: 1.0.0
title: Slow pulse on a beta-blocker
status: active
severity: warning
hooks: [patient-view]
facts:
  bb: {medication: {in: beta-blockers}}
when: {all: [bb: present]}
card: {summary: Slow, source: {label: Test}}
""",
    "valuesets/beta-blockers.yaml": """\
format: 1
valueset: beta-blockers
version: 1.0.0
title: Beta-blockers
include:
  - system: rxnorm
    ingredients:
      - {code: "6918", name: metoprolol}
      - {code: "10600", name: timolol}
      - {code: "703", name: unheardofol}
  - {system: atc, under: [C07]}
exclude: [{system: rxnorm, dose_forms: [ophthalmic]}]
""",
    "valuesets/diabetes.yaml": """\
format: 1
valueset: diabetes
version: 1.0.0
title: Diabetes
include: [{system: icd10cm, under: [E11]}]
""",
}
NAMES = [
    ("6918", "IN", "metoprolol"),
    ("10600", "IN", "timolol"),
    ("866435", "SCDC", "metoprolol succinate 50 MG"),
    ("866436", "SCD", "metoprolol succinate 50 MG ER Oral Tablet"),
    ("866438", "SBD", "metoprolol succinate 50 MG ER Oral Tablet [Toprol]"),
    ("866427", "BN", "Toprol"),
    ("1923424", "SCD", "timolol 5 MG/ML Ophthalmic Solution"),
    ("316945", "DF", "Extended Release Oral Tablet"),
    ("7670", "DF", "Ophthalmic Solution"),
]
LINKS = [
    ("6918", "ingredient_of", "866435"),
    ("866435", "constitutes", "866436"),
    ("866436", "has_tradename", "866438"),
    ("866427", "ingredient_of", "866438"),
    ("6918", "has_tradename", "866427"),
    ("10600", "ingredient_of", "1923424"),
    ("316945", "dose_form_of", "866436"),
    ("316945", "dose_form_of", "866438"),
    ("7670", "dose_form_of", "1923424"),
]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "RxNorm_full_prescribe_11022026"
    write_release(folder / "rrf", NAMES, LINKS)
    return folder


def write_release(folder: Path, names: Any, links: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    concepts = (
        f"{code}|ENG||||||1{code}|1|{code}||RXNORM|{kind}|{code}|{name}||N|4096|\n"
        for code, kind, name in names
    )
    relations = (
        f"{to}||CUI|RO|{start}||CUI|{relation}|{number}||RXNORM|||||4096|\n"
        for number, (start, relation, to) in enumerate(links)
    )
    (folder / "RXNCONSO.RRF").write_text("".join(concepts))
    (folder / "RXNREL.RRF").write_text("".join(relations))


def run(*arguments: Any) -> Result:
    words = [str(each) for each in arguments]
    return CliRunner().invoke(main, ["valueset", *words], catch_exceptions=False)


def test_products_are_imported_and_match_by_code(rules: Path, release: Path) -> None:
    before = run("list", "--rules", rules)

    imported = run("import", "rxnorm", release, "--rules", rules)

    assert before.output.endswith("so products are matched by name\n")
    assert imported.exit_code == 0
    assert "RxNorm release 2026-11-02: 7 codes for 2 ingredients" in imported.output
    assert "not in this release, so not prescribed now: 703" in (imported.output)
    found = check_folder(rules).rulebook.valuesets["beta-blockers"]
    assert found.codes["http://www.nlm.nih.gov/research/umls/rxnorm"] == {
        *("6918", "10600", "703", "866435", "866436", "866438", "866427"),
    }
    after = run("list", "--rules", rules)
    assert "beta-blockers  atc 1, rxnorm 7\n" in after.output
    assert after.output.endswith("RxNorm release 2026-11-02\n")


def test_an_import_again_changes_nothing(rules: Path, release: Path) -> None:
    run("import", "rxnorm", release, "--rules", rules)
    file = rules / "valuesets" / "expansions" / "rxnorm.tsv"
    written = file.read_bytes(), file.stat().st_mtime_ns

    again = run("import", "rxnorm", release / "rrf", "--rules", rules)

    assert "unchanged" in again.output
    assert (file.read_bytes(), file.stat().st_mtime_ns) == written
    assert [each.name for each in file.parent.iterdir()] == ["rxnorm.tsv"]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("RXNREL.RRF", None, "there is no RXNREL.RRF in"),
        ("RXNCONSO.RRF", None, "unpack RxNorm_full_prescribe_MMDDYYYY.zip"),
        ("RXNREL.RRF", b"866435||CUI|RO|69", "RXNREL.RRF:1: 4 columns where 16"),
        ("RXNCONSO.RRF", b"a" * 200_000, "RXNCONSO.RRF:1: 0 columns where 18"),
        ("RXNCONSO.RRF", b"\0\n" * 9, "RXNCONSO.RRF:1: 0 columns where 18"),
        ("RXNCONSO.RRF", b"", "contains no RxNorm ingredient"),
    ],
)
def test_a_release_that_is_not_whole_changes_nothing(
    rules: Path, release: Path, file: str, content: bytes | None, said: str
) -> None:
    run("import", "rxnorm", release, "--rules", rules)
    expansion = rules / "valuesets" / "expansions" / "rxnorm.tsv"
    kept = expansion.read_bytes()
    target = release / "rrf" / file
    target.unlink() if content is None else target.write_bytes(content)

    refused = run("import", "rxnorm", release, "--rules", rules)

    assert refused.exit_code == 1
    assert said in refused.output
    assert expansion.read_bytes() == kept


def test_an_import_mends_a_broken_expansion_and_is_stopped_by_broken_sets(
    rules: Path, release: Path
) -> None:
    broken = rules / "valuesets" / "expansions" / "rxnorm.tsv"
    broken.parent.mkdir()
    broken.write_text("<<<<<<< HEAD\n")
    assert run("list", "--rules", rules).exit_code == 2

    assert run("import", "rxnorm", release, "--rules", rules).exit_code == 0
    assert run("list", "--rules", rules).exit_code == 0
    (rules / "valuesets" / "diabetes.yaml").write_text("format: 1\n")
    stopped = run("import", "rxnorm", release, "--rules", rules)
    assert stopped.exit_code == 2
    assert "valuesets/diabetes.yaml:1:1" in stopped.output


def test_a_set_is_shown_with_where_its_codes_come_from(rules: Path) -> None:
    shown = run("show", "beta-blockers", "--rules", rules)
    as_json = json.loads(
        run("show", "beta-blockers", "--rules", rules, "--format", "json").output
    )

    assert "include atc; under C07" in shown.output
    assert f"{rules}/valuesets/beta-blockers.yaml:11" in shown.output
    assert "read by slow: Slow pulse on a beta-blocker" in shown.output
    assert as_json["systems"] == {"atc": 1, "rxnorm": 3}
    assert [each["kind"] for each in as_json["parts"]] == 2 * ["include"] + ["exclude"]
    missing = run("show", "beta-blocker", "--rules", rules)
    assert missing.exit_code == 2
    assert "did you mean `beta-blockers`?" in missing.output


def test_ingredients_are_shown_with_all_their_names_and_without_a_code(
    rules: Path, release: Path
) -> None:
    file = rules / "valuesets" / "beta-blockers.yaml"
    text = file.read_text()
    changed = text.replace(
        "name: metoprolol}",
        "name: metoprolol, also: [Lopressor, Toprol]}\n      - {name: carteolol}",
    )
    file.write_text(changed)

    by_name = run("show", "beta-blockers", "--rules", rules)
    imported = run("import", "rxnorm", release, "--rules", rules)
    by_code = run("show", "beta-blockers", "--rules", rules)

    listed = "ingredients metoprolol 6918 (Lopressor, Toprol), carteolol, timolol 10600"
    assert listed in by_name.output
    assert "RxNorm products: by name" in by_name.output
    assert imported.exit_code == 0
    assert "products, by code; carteolol by name" in by_code.output
    assert "name|lopressor" in run("expand", "beta-blockers", "--rules", rules).output


def test_an_expansion_is_written_in_three_forms(rules: Path, release: Path) -> None:
    run("import", "rxnorm", release, "--rules", rules)
    text, plain, fhir = (
        run("expand", "beta-blockers", "--rules", rules, "--format", form).output
        for form in ("text", "json", "fhir")
    )

    assert "rxnorm|866427  Toprol\n" in text
    assert "! rxnorm|1923424  \n" not in text
    assert {
        "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "code": "6918",
    } in (json.loads(plain)["codes"])
    assert check_resource(json.loads(fhir)) == []
    contains = json.loads(fhir)["expansion"]["contains"]
    assert {each.get("display") for each in contains} >= {"Toprol", "metoprolol"}


def test_what_changed_since_the_lock_is_named_with_the_rules(
    rules: Path, release: Path
) -> None:
    none = run("outdated", "--rules", rules)
    assert none.exit_code == 2 and "there is no" in none.output
    assert run("lock", "--rules", rules).exit_code == 0
    assert "unchanged" in run("lock", "--rules", rules).output
    assert run("outdated", "--rules", rules).exit_code == 0
    tried = run("outdated", "--against", release, "--rules", rules)
    run("import", "rxnorm", release, "--rules", rules)

    found = run("outdated", "--rules", rules)
    as_json = json.loads(run("outdated", "--rules", rules, "--format", "json").output)

    assert (tried.exit_code, found.exit_code) == (1, 1)
    assert tried.output.splitlines()[:-1] == found.output.splitlines()[:-1]
    assert found.output.splitlines() == [
        "beta-blockers: 5 added, 0 gone",
        "  + ! rxnorm|1923424",
        "  + rxnorm|866427  Toprol",
        "  + rxnorm|866435  metoprolol succinate 50 MG",
        "  + rxnorm|866436  metoprolol succinate 50 MG ER Oral Tablet",
        "  + rxnorm|866438  metoprolol succinate 50 MG ER Oral Tablet [Toprol]",
        f"  affects Slow pulse on a beta-blocker ({rules}/slow.yaml)",
        f"since {rules}/valuesets.lock: 1 value set changed, 1 rule affected",
    ]
    assert as_json["changes"][0]["rules"][0]["rule"] == "slow"


def test_what_changed_since_another_folder_or_lock_is_named(
    rules: Path, tmp_path: Path
) -> None:
    run("lock", "--rules", rules)
    other = tmp_path / "other.lock"
    other.write_text((rules / "valuesets.lock").read_text().replace("E11*", "E10*"))
    before = tmp_path / "before"
    for name, text in FILES.items():
        (before / name).parent.mkdir(parents=True, exist_ok=True)
        (before / name).write_text(text.replace("[E11]", "[E10]"))

    forged = run("outdated", "--against", other, "--rules", rules)
    found = run("outdated", "--against", before, "--rules", rules)

    assert forged.exit_code == 2 and "do not match its digest" in forged.output
    assert found.exit_code == 1
    assert "  + icd10cm|E11*\n  - icd10cm|E10*\n" in found.output
    assert found.output.endswith("1 value set changed, 0 rules affected\n")


def test_check_refuses_what_is_not_locked_only_if_asked(rules: Path) -> None:
    def check(*options: str) -> Result:
        return CliRunner().invoke(main, ["check", str(rules), *options])

    assert "there is no valuesets.lock" in check("--locked").output
    run("lock", "--rules", rules)
    (rules / "valuesets" / "diabetes.yaml").write_text(
        FILES["valuesets/diabetes.yaml"].replace("E11", "E10")
    )

    assert "warning[CDS219]" in check().output
    assert "error[CDS219]" in check("--locked").output
    assert check("--locked").exit_code == 1


HTN = {
    "resourceType": "ValueSet",
    "url": "https://example.org/ValueSet/htn",
    "title": "Essential hypertension",
    "status": "active",
    "compose": {
        "include": [
            {
                "system": "http://hl7.org/fhir/sid/icd-10-cm",
                "concept": [{"code": "I10", "display": "Essential hypertension"}],
            }
        ]
    },
}


def test_a_fhir_value_set_becomes_a_file_that_loads(
    rules: Path, tmp_path: Path
) -> None:
    file = tmp_path / "htn.json"
    file.write_text(json.dumps(HTN))

    first = run("import", "fhir", file, "--rules", rules)
    again = run("import", "fhir", file, "--rules", rules)
    named = run("import", "fhir", file, "--name", "diabetes", "--rules", rules)
    odd = run("import", "fhir", file, "--name", "../x", "--rules", rules)

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "essential-hypertension.yaml: written" in first.output
    assert "unchanged" in again.output
    assert named.exit_code == 1 and "--replace replaces it" in named.output
    assert odd.exit_code == 2
    assert check_folder(rules).rulebook.valuesets["essential-hypertension"].codes == {
        "http://hl7.org/fhir/sid/icd-10-cm": {"I10"}
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"resourceType": "ValueSet"', ":1:28: error[CDS217]: this is not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (json.dumps({**HTN, "compose": {"include": [{"system": "x"}]}}).encode(),
         "error[CDS216]: all codes of a code system are meant"),
    ],
)  # fmt: skip
def test_a_fhir_file_that_cannot_be_taken_is_told(
    rules: Path, tmp_path: Path, text: bytes, said: str
) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(text)

    refused = run("import", "fhir", file, "--name", "x", "--rules", rules)

    assert refused.exit_code == 1
    assert said in refused.output
    assert not (rules / "valuesets" / "x.yaml").exists()


def chart(*resources: Any) -> bytes:
    patient = {"resourceType": "Patient", "id": "patient-secret"}
    entries = [{"resource": each} for each in (patient, *resources)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return json.dumps(bundle).encode()


def medicine(text: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": f"secret-{text}",
        "status": "active",
        "subject": {"reference": "Patient/patient-secret"},
        "medicationCodeableConcept": {"text": text},
    }


def test_coverage_counts_names_broken_files_and_prints_no_id(
    rules: Path, tmp_path: Path
) -> None:
    charts = tmp_path / "charts"
    (charts / "below").mkdir(parents=True)
    (charts / "a.json").write_bytes(chart(medicine("Eliquis"), medicine("Metoprolol")))
    (charts / "below" / "b.json").write_bytes(chart(medicine("Eliquis")))

    clean = run("coverage", charts, "--rules", rules)
    for name, content in {
        "cut.json": b'{"resourceType": "Bundle", "en',
        "deep.json": b"[" * 100_000,
        "odd.json": b'{"resourceType": "Bundle", "entry": [{"resource": {"id": 3}}]}',
        "empty.json": b'{"resourceType": "Bundle"}',
        "bytes.json": b"\xff\xfe\xff",
    }.items():
        (charts / name).write_bytes(content)
    broken = run("coverage", charts, "--rules", rules)
    as_json = json.loads(
        run("coverage", charts, "--rules", rules, "--format", "json").stdout
    )

    assert clean.exit_code == 0
    assert "medicines: 3, 0 by code" in clean.output
    assert "       2  Eliquis\n" in clean.output
    assert "       1  Metoprolol  (beta-blockers)\n" in clean.output
    assert broken.exit_code == 1
    assert "2 charts read" in broken.output
    for name in ("cut", "deep", "odd", "empty", "bytes"):
        assert f"{name}.json: it " in broken.stderr
    assert as_json["medicines"]["unrecognised"] == [
        {"count": 2, "name": "Eliquis", "code": "", "valuesets": []}
    ]
    assert "secret" not in broken.output + clean.output + json.dumps(as_json)
    (charts / "none").mkdir()
    assert run("coverage", charts / "none", "--rules", rules).exit_code == 2


def test_licences_are_looked_at_in_every_form(rules: Path) -> None:
    (rules / "valuesets" / "NOTICE.md").write_text("National Library of Medicine")
    assert run("licences", rules).exit_code == 0
    (rules / "valuesets" / "NOTICE.md").unlink()

    text = run("licences", rules)
    sarif = json.loads(run("licences", rules, "--format", "sarif").output)

    assert text.exit_code == 1
    assert f"{rules}/valuesets/beta-blockers.yaml:6:13: warning[CDS906]" in text.output
    assert sarif["runs"][0]["results"][0]["ruleId"] == "CDS906"


def test_other_verbs_leave_terminology_as_it_is(rules: Path, release: Path) -> None:
    run("import", "rxnorm", release, "--rules", rules)
    run("lock", "--rules", rules)
    (rules / "valuesets" / "htn.json").write_text(json.dumps(HTN))
    kept = {
        file: (rules / file).read_bytes()
        for file in (
            "valuesets.lock",
            "valuesets/htn.json",
            "valuesets/expansions/rxnorm.tsv",
        )
    }

    for verb in (
        ["fmt", rules],
        ["schema", "--project", "--modeline", "--rules", rules],
    ):
        done = CliRunner().invoke(main, [str(each) for each in verb])
        assert done.exception is None or isinstance(done.exception, SystemExit)

    assert {file: (rules / file).read_bytes() for file in kept} == kept


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(HTN).replace("I10", "E11.9"),
        "E11.9\n",
        "Code,Description\nE11.9,Diabetes\n",
    ],
)
def test_a_set_is_held_beside_a_public_one(
    rules: Path, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "list"
    file.write_text(text)

    shown = run("compare", "diabetes", "--with", file, "--rules", rules)
    asked = run("compare", "diabetes", "--with", file, "--json", "--rules", rules)

    assert (shown.exit_code, asked.exit_code) == (0, 0)
    assert "recall 100.0% (1 of 1), precision 100.0% (1 of 1)" in shown.output
    told = json.loads(asked.output)
    assert (told["valueset"], told["recall"]) == ("diabetes", 1)
    (system,) = told["systems"]
    assert system["found"][0]["code"] == "E11.9" and system["extra"] == []


def test_what_is_missing_extra_and_not_judged_is_named(
    rules: Path, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "rxnorm|6918,metoprolol\nrxnorm|11289,warfarin\nrxnorm|1\nurn:x|7,\x1b[1mx\n"
        "atc|!\n"
    )

    found = run("compare", "beta-blockers", "--with", file, "--rules", rules)

    assert found.exit_code == 0
    assert "recall 50.0% (1 of 2)" in found.output
    assert "missing from the set: 1\n    11289 warfarin" in found.output
    assert "precision not known" in found.output
    assert "not judged: 1 product without a name" in found.output
    assert "atc: 1 entry not in the list" in found.output
    assert "1 code of an unknown form\n    !" in found.output
    assert "\x1b" not in found.output


def test_a_list_that_cannot_be_taken_is_told_with_what_to_do(
    rules: Path, tmp_path: Path
) -> None:
    def compare(text: bytes, *more: str) -> Result:
        file = tmp_path / "list"
        file.write_bytes(text)
        return run("compare", "beta-blockers", "--with", file, "--rules", rules, *more)

    page = json.dumps({**HTN, "compose": {"include": [{"system": "x"}]}}).encode()

    assert compare(b"C07AB02\n").exit_code == 0
    assert "--system gives" in compare(b"C07AB02\n6918\n").output
    assert compare(b"C07AB02\n6918\n").exit_code == 1
    assert compare(b"6918\n", "--system", "rxnorm").exit_code == 0
    assert "CDS216" in compare(page).output and compare(page).exit_code == 1
    assert "is not UTF-8" in compare(b"\xff\xfe").output
    assert run("compare", "beta", "--with", rules / "site.yaml").exit_code == 2
