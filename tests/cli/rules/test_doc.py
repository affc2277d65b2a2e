"""A page for each rule: whole, true to the rule, and inert whatever a file says."""

import json
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

from cds_service.cli import main
from cds_service.rulebook.load import check_folder

HOME = Path(__file__).parents[3]
RULES = HOME / "rules"
CHECKED = check_folder(RULES)
NAMES = sorted(CHECKED.rulebook.rules)
DETECTORS = sorted(each.name for each in CHECKED.detectors.values())
RULE = "beta-blocker-resting-tachycardia"


def run(*arguments: str, rules: Path = RULES) -> Result:
    return CliRunner().invoke(main, ["doc", "--rules", str(rules), *arguments])


def rendered(text: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return copytree(RULES, tmp_path / "rules")


def test_the_page_of_a_rule_says_what_it_does() -> None:
    page = run(RULE).stdout

    assert page.startswith("# Fast resting heart rate despite a beta-blocker\n")
    for words in (
        "Nobody has approved it; each card says that it awaits local approval.",
        "In effect from 2026-11-01. Review due by 2027-11-01.",
        "Shown for patients aged 18 years or more when all of these hold:",
        "Not shown when *Palliative care* is recorded as an active problem that was "
        "entered in the last 12 months.",
        "| `hr_limit` | Resting heart rate, of most of a watch alert or of a day, from "
        "which the rule calls it fast. "
        "| 100 /min | 90 /min | 130 /min | 100 /min |",
        "- RxNorm: 20 codes: 10600, 1202,",
        "- link: Why this card (a page of this server, for EHRs that open it",
        "- Stays away for 7 days, for everybody, after somebody accepted it.",
        "- ATC: all that begin with C07",
        "- ICD-10-CM: 1 code: Z51.5",
        "](<https://doi.org/10.1371/journal.pone.0227709>) (2020)",
        "`Condition?patient={{context.patientId}}`",
        "| 5 | Use of race | not used |",
        "| 10 | Use of sex | not used |",
        "| 11 | Use of date of birth | used: the rule asks the patient's age (line 49)",
        "- 0.1.0 — unreleased: 3.0.2: a fast resting heart rate",
    ):
        assert words in page, words


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of all shipped rules."""
    folder = tmp_path_factory.mktemp("pages")
    assert run("--out", str(folder)).exit_code == 0
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_rule_has_a_page_that_renders_whole(
    name: str, pages: Path
) -> None:
    page = (pages / f"{name}.md").read_text("utf-8")
    html = rendered(page)

    assert html.count("<h1>") == 1
    assert "<h2>What it does</h2>" in html
    assert "<h2>Source attributes</h2>" in html
    assert html.count("<tr>\n<td>") >= 13
    assert "<p>-" not in html and "<p>|" not in html
    for piece in ("None", "{'", "Duration(", "[]"):
        assert piece not in page.replace("| None |", ""), piece
    assert not [line for line in page.splitlines() if ".." in line.replace("...", "")]


def test_all_pages_and_an_index_are_written_the_same_each_time(
    rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pages"

    first = run("--out", str(out), rules=rules)
    texts = written(out)
    run("--out", str(out), rules=rules)

    assert first.exit_code == 0
    pages = [*NAMES, *(f"detectors/{name}" for name in DETECTORS)]
    assert sorted(texts) == sorted(["README.md", *(f"{page}.md" for page in pages)])
    assert written(out) == texts
    for page in pages:
        name = page.removeprefix("detectors/")
        assert f"[{name}]({page}.md)" in texts["README.md"].decode()


def written(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_pages_that_are_out_of_date_are_named_with_the_line(
    rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pages"
    run("--out", str(out), rules=rules)
    assert run("--check", str(out), rules=rules).exit_code == 0
    rule = rules / "cardiology" / f"{RULE}.yaml"
    rule.write_text(rule.read_text().replace("default: 100", "default: 105"))
    (out / "gone.md").write_text("# A rule that was\n")
    (out / f"{NAMES[0]}.md").unlink()

    found = run("--check", str(out), rules=rules)

    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert f"{out / NAMES[0]}.md: is not there" in lines
    assert f"{out / 'gone.md'}: there is no such rule" in lines
    stale = next(line for line in lines if RULE in line)
    number = int(stale.split(":")[1])
    assert "100 /min" in (out / f"{RULE}.md").read_text().splitlines()[number - 1]
    assert lines[-1] == f"{len(NAMES) + len(DETECTORS) + 1} pages, 3 out of date"


def test_the_page_of_a_detector_is_asked_for_by_its_name() -> None:
    page = run("high-heart-rate-at-rest").stdout
    told = json.loads(run("high-heart-rate-at-rest", "--format", "json").stdout)

    assert page.startswith("# High heart rate at rest\n")
    for words in (
        "An episode opens when heart rate has been above 100 /min for 10 minutes, at",
        "| `limit` | Heart rate at rest above which it is high. | 100 /min | 90 /min |",
        "| 100 itself is not high | nothing is detected |",
        "| one every five minutes says nothing, and that is said | not judged: too",
        "](<https://support.apple.com/en-us/HT208931>)",
        "## What no document was found for",
    ):
        assert words in page, words
    assert list(told) == ["detectors"]
    assert told["detectors"][0]["raises"] == "high-heart-rate"


def test_a_name_that_is_neither_of_a_rule_nor_a_detector_is_told() -> None:
    wrong = run("high-heart-rate-at-rst")

    assert wrong.exit_code == 2
    assert "did you mean `high-heart-rate-at-rest`?" in wrong.stderr


def test_a_page_that_is_not_changed_by_a_comment_stays_up_to_date(
    rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pages"
    run("--out", str(out), rules=rules)
    rule = rules / "cardiology" / f"{RULE}.yaml"
    rule.write_text(rule.read_text() + "# a comment at the end\n")

    assert run("--check", str(out), rules=rules).exit_code == 0


def test_what_a_file_says_cannot_come_alive(rules: Path) -> None:
    rule = rules / "cardiology" / f"{RULE}.yaml"
    hostile = (
        "</h1><script>x</script> [a](javascript:b) ![i](//e) `c` | **d** www.e.org"
    )
    text = rule.read_text().replace(
        "title: Fast resting heart rate despite a beta-blocker",
        f"title: {json.dumps(hostile)}",
    )
    text = text.replace(
        "developer: The cds-service project", f"developer: '# {hostile}'"
    )
    text = text.replace(
        "citation: >-", f"citation: {json.dumps(hostile)}\n    - citation: >-", 1
    )
    rule.write_text(text)

    html = rendered(run(RULE, rules=rules).stdout)

    for alive in (
        "<script",
        'javascript:b"',
        "<img",
        "<strong>d",
        'href="http://www.e',
    ):
        assert alive not in html
    assert html.count("&lt;script&gt;") >= 4
    assert html.count("<h1>") == 1


def test_what_is_done_without_a_person_is_told_in_plain_words(rules: Path) -> None:
    rule = rules / "cardiology" / f"{RULE}.yaml"
    task = "{resourceType: Task, status: requested, intent: order}"
    actions = f"{{description: Make a *task*, create: {task}}}"
    shared = f"card_defaults:\n  system_actions: [{actions}]\n"
    rule.write_text(rule.read_text().replace("card_defaults:\n", shared))

    page = run(RULE, rules=rules).stdout

    assert (
        "- takes without a person: Make a \\*task\\* "
        "(where nothing is in doubt, in an EHR that agreed to it)\n"
    ) in page
    assert "without a person" not in run(RULE).stdout


def test_an_override_about_the_data_is_told_apart_from_one_about_the_advice() -> None:
    page = run(RULE).stdout

    assert (
        "- Overridden because of “Device artifact or poor fit”, “Somebody else wore "
        "the device”: for 30 days, no rule shows that user a card that rests on the "
        "same alert or reading, but for critical ones.\n"
    ) in page
    assert "shown all the same" not in page
    assert ("- Its critical card is shown all the same.\n") in run(
        "opioid-low-breathing"
    ).stdout
    assert (
        "- Overridden because of “Normal for this patient”: for 30 days, that user is "
        "not shown this rule's card.\n"
        "- Overridden because of “Already evaluated”: for 14 days, that user is not "
        "shown this rule's card.\n"
    ) in page


def test_an_override_for_any_reason_is_told_as_such(rules: Path) -> None:
    rule = rules / "cardiology" / f"{RULE}.yaml"
    text = rule.read_text()
    start = text.index("  snooze_on_override:\n")
    end = text.index("  snooze_on_accept:")
    rule.write_text(
        text[:start]
        + "  once_per: [patient, rule]\n  snooze_on_override: 5 days\n"
        + text[end:]
    )

    page = run(RULE, rules=rules).stdout

    assert (
        "- Overridden because of “Device artifact or poor fit”, “Somebody else wore "
        "the device”: for 5 days, no rule shows that user a card that rests on the "
        "same alert or reading, but for critical ones, and this rule shows it to "
        "nobody.\n"
        "- Overridden for any other reason, or for none: for 5 days, nobody is shown "
        "this rule's card.\n"
    ) in page


def test_numbers_that_nobody_could_confirm_stand_on_the_page() -> None:
    page = run("af-fast-rate").stdout

    assert (
        "## What no document was found for\n\n"
        "- 100 /min in heart failure: the 2023 guideline's 100 to 110 /min at rest is "
        "for patients without heart failure; this is its stricter end\n"
        "- 120 /min in pregnancy and 30 minutes: the project's own choice\n"
    ) in page
    assert "What no document" not in run(RULE).stdout


def test_the_page_says_which_records_an_order_names_as_its_reason() -> None:
    page = run("af-fast-rate").stdout

    assert (
        "- suggestion: Draft an order for a 12-lead ECG (Draft order for a 12-lead "
        "ECG, because of *Atrial fibrillation or flutter*)\n"
    ) in page


def test_json_tells_suggestions_reasons_and_what_is_not_confirmed() -> None:
    (page,) = json.loads(run("af-fast-rate", "--format", "json").stdout)["rules"]

    assert page["unconfirmed"][1] == (
        "120 /min in pregnancy and 30 minutes: the project's own choice"
    )
    first, second = page["cards"]
    assert first["suggestions"][0] == {
        "label": "Draft an order for a 12-lead ECG",
        "recommended": False,
        "actions": [
            {
                "type": "create",
                "description": "Draft order for a 12-lead ECG",
                "reasons": ["atrial_fibrillation"],
            }
        ],
    }
    assert second["suggestions"] == []


def test_json_says_the_same() -> None:
    (page,) = json.loads(run(RULE, "--format", "json").stdout)["rules"]

    assert page["rule"] == RULE
    assert page["logic"]["patients"] == "patients aged 18 years or more"
    assert [each["number"] for each in page["source_attributes"]] == list(range(1, 14))
    assert page["prefetch"]["conditions"].startswith("Condition?")
    assert page["tests"] and page["changes"]


def test_a_rule_that_is_not_there_is_a_usage_error() -> None:
    found = run("beta-blocker-resting-tachycardi")

    assert found.exit_code == 2
    assert f"did you mean `{RULE}`?" in found.output


def test_writing_and_checking_at_once_is_refused(tmp_path: Path) -> None:
    found = run("--out", str(tmp_path), "--check", str(tmp_path))

    assert found.exit_code == 2
