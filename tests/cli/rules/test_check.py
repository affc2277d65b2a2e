import json
import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.check import check

RULES = Path(__file__).parents[3] / "rules"
RULE = "cardiology/beta-blocker-resting-tachycardia.yaml"
SMALL = "revised.yaml"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A copy of the project's rules that a test may break."""
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


def run(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(
        check, [str(each) for each in arguments], env=environment, color=False
    )


def spoil(rules: Path, old: str, new: str, file: str = RULE) -> None:
    text = (rules / file).read_text("utf-8")
    assert old in text
    (rules / file).write_text(text.replace(old, new, 1), "utf-8")


def test_the_rules_of_the_project_have_no_errors_and_no_warnings() -> None:
    result = run(RULES, "--today", "2026-11-22")

    assert result.exit_code == 0, result.output
    assert "error" not in result.output
    assert "warning" not in result.output


@pytest.mark.parametrize(
    ("today", "said"),
    [("2026-11-22", False), ("2026-11-23", True), ("2999-01-01", True)],
)
def test_a_review_that_is_overdue_on_the_day_is_a_warning(
    rules: Path, today: str, said: bool
) -> None:
    text = (rules / RULE).read_text("utf-8")
    due = next(line for line in text.splitlines() if "review_by:" in line)
    spoil(rules, due, "  review_by: 2026-11-22")

    result = run(rules / RULE, "--today", today)

    assert ("warning[CDS612]" in result.output) is said
    assert result.exit_code == 0


JWKS = "jku: https://ehr.example.org/jwks.json"
FHIR = "https://fhir.example.org/r4"
OPENS = f"fhir_base: {FHIR}, fhir_servers: [{FHIR}], smart: {{client_id: a}}"


def clients(folder: Path, *entries: str) -> Path:
    """A clients file whose clients have a name each, and what is said besides."""
    lines = []
    for entry in entries:
        name, _, more = entry.partition(" ")
        told = f", {more}" if more else ""
        iss = f"iss: https://{name}.example.org"
        lines.append(f"  - {{id: {name}, {iss}, {JWKS}{told}}}\n")
    file = folder / "clients.yaml"
    file.write_text("clients:\n" + "".join(lines))
    return file


def test_who_is_not_sent_links_to_pages_is_said_and_is_no_error(
    tmp_path: Path,
) -> None:
    file = clients(
        tmp_path, "north", f"south {OPENS}", "west services: [another-service]"
    )

    result = run(RULES, "--clients", file, "--today", "2026-11-22", "--lint-fatal")

    assert result.exit_code == 0, result.output
    assert "services.yaml:6:9: note[CDS513]" in result.output
    assert "to pages (timeline, why) are left out for north, where" in result.output


def test_where_every_client_opens_pages_nothing_is_said_of_links(
    tmp_path: Path,
) -> None:
    file = clients(tmp_path, f"south {OPENS}")

    result = run(RULES, "--today", "2026-11-22", CDS_CLIENTS_FILE=str(file))

    assert "CDS513" not in result.output
    assert result.exit_code == 0


def test_of_many_clients_some_are_named(tmp_path: Path) -> None:
    file = clients(tmp_path, *(f"c{number}" for number in range(8)))

    result = run(RULES, "--clients", file, "--today", "2026-11-22")

    assert "left out for c0, c1, c2, c3, c4 and 3 more" in result.output


@pytest.mark.parametrize("named", ["wrong.yaml", "no-such.yaml", ""])
def test_a_clients_file_that_is_wrong_keeps_no_rules_from_being_checked(
    tmp_path: Path, named: str
) -> None:
    (tmp_path / "wrong.yaml").write_text("clients: [{id: north}]\n")

    result = run(RULES, "--today", "2026-11-22", CDS_CLIENTS_FILE=str(tmp_path / named))

    assert result.exit_code == 0
    assert "Clients were not checked: " in result.stderr
    assert "CDS513" not in result.output


def test_of_rules_with_errors_nothing_is_said_of_links(
    rules: Path, tmp_path: Path
) -> None:
    spoil(rules, "format: 1", "format: 2")

    result = run(rules, "--clients", clients(tmp_path, "north"))

    assert result.exit_code == 1
    assert "CDS513" not in result.output


def test_without_a_day_it_is_the_sites_today(rules: Path) -> None:
    text = (rules / RULE).read_text("utf-8")
    due = next(line for line in text.splitlines() if "review_by:" in line)
    spoil(rules, due, "  review_by: 2020-01-01")

    assert "overdue since 2020-01-01" in run(rules / RULE).output


def test_an_error_is_shown_with_its_line_and_the_exit_code_says_so(rules: Path) -> None:
    spoil(rules, "severity: warning", "severity: warn")

    result = run(rules)

    assert result.exit_code == 1
    assert (
        f"{rules}/{RULE}:7:11: error[CDS104]: `warn` is not allowed here\n"
        "     7 | severity: warn\n"
        "       |           ^\n"
        "       = help: did you mean `warning`? allowed: info, warning, critical\n"
    ) in result.output
    assert ": 1 error" in result.output.splitlines()[-1]


def test_every_fault_is_told_and_not_only_the_first(rules: Path) -> None:
    spoil(rules, "status: active", "status: actve")
    spoil(rules, "format: 1", "format: 2", "site.yaml")
    spoil(rules, "code:", "cod:", "valuesets/beta-blockers.yaml")

    result = run(rules)

    assert result.exit_code == 1
    assert all(
        name in result.output for name in (RULE, "site.yaml", "beta-blockers.yaml")
    )


def test_the_closing_line_counts_files_rules_and_findings(rules: Path) -> None:
    spoil(rules, "within: 3 days", "within: 3 day s")

    result = run(rules / RULE)

    assert result.output.splitlines()[-1].startswith("1 file, 1 rule: 1 error")


def test_findings_as_json(rules: Path) -> None:
    spoil(rules, "severity: warning", "severity: warn")

    result = run(rules, "--format", "json")
    written = json.loads(result.output)

    assert result.exit_code == 1
    assert written["rules"] >= 1
    assert [each for each in written["findings"] if each["level"] == "error"] == [
        {
            "file": f"{rules}/{RULE}",
            "line": 7,
            "column": 11,
            "code": "CDS104",
            "level": "error",
            "message": "`warn` is not allowed here",
            "help": "did you mean `warning`? allowed: info, warning, critical",
        }
    ]


def test_only_what_is_about_the_named_files_is_told(rules: Path) -> None:
    spoil(rules, "severity: warning", "severity: warn")

    assert run(rules / RULE).exit_code == 1
    assert run(rules / "cardiology").exit_code == 1
    assert run(rules / "facts").exit_code == 0


def test_a_folder_that_is_not_there_cannot_be_checked(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere")

    assert result.exit_code == 2
    assert "there is no" in result.output


def test_without_a_path_the_folder_of_the_settings_is_checked(rules: Path) -> None:
    spoil(rules, "severity: warning", "severity: warn")

    assert run(CDS_RULES=str(rules)).exit_code == 1


def test_colours_are_only_for_a_terminal(rules: Path) -> None:
    spoil(rules, "severity: warning", "severity: warn")

    assert "\x1b[" not in run(rules).output
    plain = CliRunner().invoke(check, [str(rules)], color=True, env={"NO_COLOR": "1"})
    bright = CliRunner().invoke(check, [str(rules)], color=True, env={"NO_COLOR": ""})
    assert "\x1b[" not in plain.output
    assert "\x1b[" in bright.output


ADDED = {
    "facts/wheeze.yaml": """\
        format: 1
        fact: wheeze
        title: Asthma
        condition: {in: asthma}
        """,
    "metrics.yaml": """\
        format: 1
        metrics:
          heart-rate: {title: Heart rate, unit: /min, plausible: [25, 250]}
        """,
    "valuesets/snomed/asthma.yaml": """\
        format: 1
        extends: asthma
        version: 1.0.0
        include: [{system: snomed, codes: ["195967001"]}]
        """,
}


@pytest.fixture
def small(tmp_path: Path, revise: Callable[[Path, int], dict[str, str]]) -> Path:
    """One rule, and one file of each kind that a folder may hold beside it."""
    folder = tmp_path / "small"
    revise(folder, 1)
    for name, text in ADDED.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(dedent(text), "utf-8")
    with (folder / "site.yaml").open("a") as site:
        site.write("overlays: [snomed]\n")
    spoil(folder, "asthma: {condition: {in: asthma}}", "asthma: {use: wheeze}", SMALL)
    shutil.copy(RULES / "valuesets/NOTICE.md", folder / "valuesets")
    return folder


def test_the_smaller_folder_has_no_errors(small: Path) -> None:
    result = run(small)

    assert result.output.splitlines()[-1] == "10 files, 1 rule: 1 note"
    assert result.exit_code == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 50_000, b"- 1"])
@pytest.mark.parametrize(
    "file", [SMALL, "site.yaml", "services.yaml", "alert-types.yaml",
             "metrics.yaml", "facts/wheeze.yaml", "valuesets/diabetes.yaml",
             "valuesets/snomed/asthma.yaml", "revised.test.yaml"]
)  # fmt: skip
def test_no_broken_file_makes_it_crash(small: Path, file: str, content: bytes) -> None:
    (small / file).write_bytes(content)

    result = run(small)

    assert result.exit_code == 1
    assert f"{small}/{file}:1:" in result.output


def test_what_cannot_be_read_is_told_with_its_path_and_the_rest_is_checked(
    rules: Path,
) -> None:
    (rules / "loop.yaml").symlink_to("loop.yaml")
    (rules / "cardiology" / "named.yaml").mkdir()
    (rules / "nameless.yaml").symlink_to("n" * 300)
    spoil(rules, "severity: ", "severity: no ")

    result = run(rules)

    assert result.exit_code == 1
    for name in ("loop.yaml", "cardiology/named.yaml", "nameless.yaml"):
        assert f"{rules / name}:1:1" in result.output
    assert f"{rules / RULE}:" in result.output


def test_a_link_can_be_checked_by_its_name(rules: Path) -> None:
    (rules / "loop.yaml").symlink_to("loop.yaml")
    (rules / "nameless.yaml").symlink_to("n" * 300)
    (rules / "other.yaml").symlink_to(RULE)

    looped, other = run(rules / "loop.yaml"), run(rules / "other.yaml")

    assert (looped.exit_code, other.exit_code) == (1, 1)
    assert f"{rules / 'nameless.yaml'}:1:1" in run(rules / "nameless.yaml").output
    assert f"{rules / 'loop.yaml'}:1:1" in looped.output
    assert f"{rules / 'other.yaml'}:" in other.output


def test_warnings_count_only_where_they_are_asked_to(rules: Path) -> None:
    spoil(rules, "unresolved: unknown", "unresolved: ignore", "site.yaml")

    assert run(rules).exit_code == 0
    assert run(rules, "--lint-fatal").exit_code == 1


def test_an_error_elsewhere_is_not_hidden_from_who_checks_one_file(rules: Path) -> None:
    spoil(rules, "severity: warning", "severity: warn")

    result = run(rules / "valuesets")

    assert result.exit_code == 0
    assert result.output.splitlines()[-1].endswith(
        "1 error in files that were not asked for keeps this rulebook from being served"
    )


def test_check_says_once_what_it_costs_that_rxnorm_was_not_imported(
    rules: Path,
) -> None:
    result = run(rules, "--lint-fatal")

    assert result.exit_code == 0
    assert result.output.count("note[CDS241]") == 1
    assert "RxNorm was not imported" in result.output
