"""Every code has a page, and the examples on it are true.

A block that is called by a file's name is that file. One that is called ``yaml`` alone
is part of ``rules/example.yaml``: its keys take the place of those below. One that is
called ``detector`` is part of ``rules/detectors/example.yaml`` in the same way, and has
the metrics below beside it. One that is called ``sh`` is run in the folder that holds
``rules``.
"""

import re
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

import cds_service
from cds_service.cli import main
from cds_service.rulebook.language.pages import read_page, titles

from ...small_rules import AROUND, review
from ...waiting import PATIENCE

EXAMPLE = """\
    format: 1
    rule: example
    version: 1.0.0
    title: Heart rate above the limit on a beta-blocker
    status: active
    severity: warning
    hooks: [patient-view]
    facts:
      beta_blocker: {medication: {in: beta-blockers}}
      heart_rate: {observation: {in: heart-rate, unit: /min, within: 7 days}}
    when:
      all:
        - beta_blocker: present
        - heart_rate: {latest: {above: 100}}
    card:
      summary: A fast heart rate despite a beta-blocker
      source: {label: Example}
    """
DETECTOR = """\
    format: 1
    detector: example
    version: 1.0.0
    title: Low heart rate at rest
    status: draft
    metric: heart-rate
    raises: low-heart-rate
    detect:
      sustained:
        below: 50
        clear: 55
        for: 10 minutes
        speaks_for: 3 minutes
        coverage: 0.7
        share: 0.9
        readings: 4
        recovery: 10 minutes
        silence: 1 hour
    lateness: 48 hours
    recurrence_within: 24 hours
    """
METRICS = """\
    format: 1
    metrics:
      heart-rate: {title: Heart rate, unit: /min, plausible: [25, 250]}
      resting-heart-rate:
        {title: Resting, unit: /min, plausible: [25, 200], at_rest: true}
      oxygen-saturation: {title: Saturation, unit: "%", plausible: [50, 100]}
      steps: {title: Steps, unit: "{steps}", plausible: [0, 250000], cumulative: true}
    """
FOLDER = {
    **AROUND,
    "services.yaml": review("example"),
    "valuesets/heart-rate.yaml": """\
        format: 1
        valueset: heart-rate
        version: 1.0.0
        title: Heart rate
        unit: /min
        include: [{system: loinc, codes: [8867-4]}]
        """,
    "example.yaml": EXAMPLE,
    "example.test.yaml": """\
        test: example
        now: 2026-11-22T12:00:00Z
        patients:
          base:
            medications:
              - {code: rxnorm|6918, name: Metoprolol, status: active}
            observations:
              - {code: loinc|8867-4, unit: /min, ends: 1 hour ago, values: 120}
        cases:
          - name: a fast heart rate
            patient: base
            expect: {card: warning}
          - name: no beta-blocker
            patient: base
            set: {medications: []}
            expect: no card
          - name: no heart rate
            patient: base
            set: {observations: []}
            expect: unknown
        """,
}
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.M | re.S)
KEY = re.compile(r"^(\w+):", re.M)


def sections(page: str) -> dict[str, str]:
    """The parts of a page below its headings, by heading."""
    parts = re.split(r"^## (\w+)\n", page, flags=re.M)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def merge(part: str, example: str) -> str:
    """An example, with its keys replaced by those of *part*."""
    given = set(KEY.findall(part))
    whole = re.split(r"^(?=\w)", dedent(example), flags=re.M)
    kept = (each for each in whole if each.partition(":")[0] not in given)
    return "".join(kept) + part


def lay(example: str, folder: Path) -> None:
    """Write a minimal rules folder, and an example's files into it."""
    files = {f"rules/{name}": dedent(text) for name, text in FOLDER.items()}
    scripts = []
    for language, file, text in BLOCK.findall(example):
        if language == "sh":
            scripts.append(text)
        elif file == "detector":
            files["rules/detectors/example.yaml"] = merge(text, DETECTOR)
            files.setdefault("rules/metrics.yaml", dedent(METRICS))
        elif file:
            files[file] = text
        else:
            files["rules/example.yaml"] = merge(text, EXAMPLE)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for script in scripts:
        subprocess.run(["sh", "-ec", script], cwd=folder, check=True, timeout=PATIENCE)


def report(page: str) -> str:
    """What the verb that reports the code of *page* says of the rules folder here."""
    named = re.search(r"^Reported by `cds-service ([^`]+)`", page, re.M)
    arguments = named.group(1).split() if named else ["check"]
    return CliRunner().invoke(main, [*arguments, "rules"]).output


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    package = Path(cds_service.__file__).parent
    used = {
        code
        for file in package.rglob("*.py")
        for code in re.findall(r"CDS\d{3}", file.read_text("utf-8"))
    }

    assert set(titles()) == used


@pytest.mark.parametrize("code", titles())
def test_the_examples_of_a_page_are_true(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = read_page(code)
    parts = sections(page)

    for name in ("Bad", "Good"):
        folder = tmp_path / name
        lay(parts[name], folder)
        monkeypatch.chdir(folder)
        said = report(page)
        assert (f"[{code}]" in said) is (name == "Bad"), said
        assert name == "Bad" or "error[" not in said, said


@pytest.mark.parametrize("code", titles())
def test_a_page_says_what_why_and_what_to_do(code: str) -> None:
    page = read_page(code)

    assert page.startswith(f"# {code}: {titles()[code]}\n\n")
    assert list(sections(page)) == ["", "Bad", "Good"]
    assert "**Why it matters.**" in page and "**What to do.**" in page
    assert all(len(line) <= 100 for line in page.splitlines() if "](" not in line)
