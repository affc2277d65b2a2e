"""Why a rule said what it said, from the command line."""

from pathlib import Path

from click.testing import CliRunner, Result

from cds_service.cli.charts.explain import explain

ROOT = Path(__file__).parents[3]
RULE = "beta-blocker-resting-tachycardia"


def run(case: str, *more: str, rule: str = RULE) -> Result:
    folder = ROOT / "fixtures" / "patient-view" / case
    asked = [
        rule,
        "--patient",
        str(folder / "chart.json"),
        "--rules",
        str(ROOT / "rules"),
    ]
    return CliRunner().invoke(explain, [*asked, *more])


def alerts(case: str) -> list[str]:
    return ["--alerts", str(ROOT / "fixtures" / "patient-view" / case / "alerts.json")]


def test_every_criterion_is_shown_with_its_truth() -> None:
    result = run("fires", *alerts("fires"))

    lines = result.output.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith(RULE) and lines[0].endswith("fires (warning)")
    (drug,) = [line for line in lines if "beta_blocker present" in line]
    assert "true" in drug and "1 by name" in drug
    assert any(
        "false" in line and "watch_alert typical at least 120" in line for line in lines
    )


def test_no_name_of_the_record_is_printed() -> None:
    assert "Metoprolol" not in run("fires", *alerts("fires")).output


def test_without_alerts_the_rule_sees_none() -> None:
    (line,) = [
        line
        for line in run("fires").output.splitlines()
        if ":55" in line or "watch_alert present" in line
    ][:1]

    assert "false" in line


def test_an_unknown_rule_names_the_one_that_was_probably_meant() -> None:
    result = run("fires", rule="beta-blocker-resting-tachycardy")

    assert result.exit_code == 1
    assert RULE in result.output


def test_the_clock_may_be_set() -> None:
    late = run("fires", *alerts("fires"), "--now", "2026-11-22T12:00:00Z")
    wrong = run("fires", "--now", "noon")

    assert late.exit_code == 0
    assert (wrong.exit_code, "--now is written" in wrong.output) == (2, True)


def test_a_file_that_is_no_json_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "chart.json").write_text("{")

    result = CliRunner().invoke(
        explain,
        [
            RULE,
            "--patient",
            str(tmp_path / "chart.json"),
            "--rules",
            str(ROOT / "rules"),
        ],
    )

    assert result.exit_code == 1
    assert "is not JSON" in result.output


def test_a_code_is_explained_with_a_good_and_a_bad_example() -> None:
    result = CliRunner().invoke(explain, ["cds031"])

    assert result.exit_code == 0
    assert result.output.startswith("# CDS031: A file must contain only one document\n")
    assert "## Bad" in result.output and "## Good" in result.output


def test_a_code_that_is_none_leads_to_the_nearest() -> None:
    result = CliRunner().invoke(explain, ["CDS0031"])

    assert result.exit_code == 1
    assert "did you mean CDS031?" in result.output


def test_all_codes_are_listed_with_their_titles() -> None:
    result = CliRunner().invoke(explain, ["--codes"])

    assert result.exit_code == 0
    assert "CDS031  A file must contain only one document\n" in result.output


def test_what_is_to_be_explained_must_be_said() -> None:
    nothing = CliRunner().invoke(explain, [])
    of_nobody = CliRunner().invoke(explain, [RULE])

    assert (nothing.exit_code, "name a rule" in nothing.output) == (2, True)
    assert (of_nobody.exit_code, "--patient" in of_nobody.output) == (2, True)


def test_a_file_with_half_a_character_is_a_chart_all_the_same(tmp_path: Path) -> None:
    chart = (ROOT / "fixtures" / "patient-view" / "fires" / "chart.json").read_bytes()
    whole = run("fires", *alerts("fires")).output
    for half in (rb"\ud83d", b"\xf0\x9f"):
        file = tmp_path / "chart.json"
        file.write_bytes(chart.replace(b"Essential", half + b" Essential", 1))
        asked = [RULE, "--patient", str(file), "--rules", str(ROOT / "rules")]

        result = CliRunner().invoke(explain, [*asked, *alerts("fires")])

        assert (result.exit_code, result.output) == (0, whole)
