"""``make mutants``: mutate a room, run the tests that reach each mutant, and judge.

mutmut makes the mutants, learns which test reaches which function, and runs only
those, in a process forked from one that has all imported. It goes on where it was
interrupted. What a room was found to be worth is written to ``mutants/scores.json``,
with a digest of the code that it was; its survivors stand with their reasons in
``mutants/survivors/<room>.yaml``.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from configparser import ConfigParser, SectionProxy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import yaml

from .results import (
    Known,
    as_entries,
    forget_survivors,
    judge,
    parse_known,
    read_codes,
    read_results,
)
from .scores import Account, account, digest

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = ROOT / "build" / "mutants"
SCORES = HERE / "scores.json"
TOOLS = HERE / "requirements.lock"
SURVIVORS = HERE / "survivors"
LINKED = ("cds_service", "tests", "rules", "fixtures", "bench")


@dataclass(frozen=True)
class Room:
    """Code that is mutated together, and the tests that must notice."""

    code: tuple[str, ...]
    tests: tuple[str, ...]
    only: str = ""
    """Which of the tests, as pytest's ``-k`` has it; all where it is empty."""


ENGINE, CARDS = "cds_service/rulebook/engine", "cds_service/rulebook/cards"
ENGINE_TESTS, CARD_TESTS = "tests/rulebook/engine", "tests/rulebook/cards"
ROWS, ROW_TESTS = f"{ENGINE}/rows", f"{ENGINE_TESTS}/rows"
STANDING = ("problems", "standing", "supplies", "treatments", "readings")
STOOD_BY = ("problems", "standing", "treatments", "entries_of_medicines")
MATCHING = ("matching", "words", "not_obtained")
MATCHED_BY = ("matching", "exclusions", "coded", "selectors")
EVALUATION = ("evaluate", "rulebook", "alerting", "rules")
CRITERIA = ("criteria", "series", "trend", "scores", "alert_tests")
DAYS = ("days", "days_shown", "streams")
ATTRIBUTES = ("attributes", "attributes_of_alerts", "attributes_of_entries")
CASES = (
    "case",
    "medicines",
    *CRITERIA[:-1],
    *DAYS,
    "left_open",
    "recorded",
    "about_alerts",
    "about_the_patient",
    *ATTRIBUTES,
    "evaluate",
    "rulebook",
)
CASE_ROWS = (
    "readings",
    "not_obtained",
    "treatments",
    "problems",
    "counting",
    "absence",
    "ends_of_the_calendar",
)
ROOMS = {
    "trust": Room(("cds_service/trust/*.py",), ("tests/trust",)),
    "consent": Room(
        ("cds_service/wearables/consent.py", "cds_service/wearables/consent_gate.py"),
        (
            "tests/wearables/test_consent_gate.py",
            "tests/wearables/adapters/test_consents.py",
        ),
    ),
    # A server of PostgreSQL takes seconds to start, for each mutant anew.
    "consenting": Room(
        ("cds_service/decision/consenting.py",),
        (
            "tests/decision/test_consenting.py",
            "tests/decision/test_permitted.py",
            "tests/web/test_readings.py",
        ),
        "not postgresql",
    ),
    "consents": Room(
        ("cds_service/store/consents.py",),
        (
            "tests/store/test_consents.py",
            "tests/store/test_many_writers.py",
            "tests/store/references/test_references.py",
            "tests/store/outbox/test_noting.py",
            "tests/store/outbox/test_sending.py",
        ),
        "not postgresql and (not many_writers or withdrawal_is_answered)",
    ),
    "suppression": Room(
        (f"{CARDS}/suppression.py", f"{CARDS}/disputes.py"), (CARD_TESTS,)
    ),
    "limits": Room(
        ("cds_service/web/limits.py", "cds_service/rulebook/compile/limits.py"),
        (
            "tests/web/test_limits.py",
            "tests/web/test_proxies.py",
            "tests/rulebook/compile/test_limits.py",
            "tests/rulebook/compile/test_compiler.py",
            "tests/rulebook/engine/rows/test_plausible.py",
        ),
    ),
    "criteria": Room(
        tuple(f"{ENGINE}/{each}.py" for each in CRITERIA),
        (
            *(f"{ENGINE_TESTS}/test_{each}.py" for each in CRITERIA[:-1]),
            f"{ENGINE_TESTS}/test_about_alerts.py",
            f"{ENGINE_TESTS}/test_days.py",
            f"{ENGINE_TESTS}/test_left_open.py",
        ),
    ),
    "standing": Room(
        tuple(f"{ROWS}/{each}.py" for each in STANDING),
        (
            *(f"{ROW_TESTS}/test_{each}.py" for each in STOOD_BY),
            f"{ROW_TESTS}/test_ends_of_the_calendar.py",
            f"{ENGINE_TESTS}/test_left_open.py",
        ),
    ),
    # What asks for units that nobody writes loads a grammar, for each mutant anew.
    "observations": Room(
        (f"{ROWS}/observations.py",),
        (f"{ROW_TESTS}/test_observations.py", f"{ROW_TESTS}/test_absence.py"),
        "not beats and not nonsense and not finite_number",
    ),
    "matching": Room(
        tuple(f"{ROWS}/{each}.py" for each in MATCHED_BY),
        (
            *(f"{ROW_TESTS}/test_{each}.py" for each in MATCHING),
            f"{ROW_TESTS}/test_code_index.py",
            f"{ROW_TESTS}/test_coded.py",
            f"{ROW_TESTS}/test_exclusions.py",
            f"{ROW_TESTS}/test_mentions.py",
            "tests/rulebook/terminology/test_expansions.py",
        ),
    ),
    "rows": Room(
        (f"{ROWS}/*.py",),
        (
            f"{ROW_TESTS}/test_indexing.py",
            f"{ROW_TESTS}/test_absence.py",
            f"{ROW_TESTS}/test_treatments.py",
            *(f"{ROW_TESTS}/test_{each}.py" for each in MATCHING),
            *(f"{ENGINE_TESTS}/test_{each}.py" for each in DAYS),
            f"{ENGINE_TESTS}/test_left_open.py",
        ),
    ),
    "evaluation": Room(
        tuple(f"{ENGINE}/{each}.py" for each in EVALUATION),
        (
            *(f"{ENGINE_TESTS}/test_{each}.py" for each in EVALUATION[:-1]),
            f"{CARD_TESTS}/test_disputes.py",
            f"{CARD_TESTS}/test_history.py",
        ),
    ),
    "texts": Room(
        (f"{ENGINE}/attributes.py", f"{ENGINE}/recorded.py"),
        (
            *(f"{ENGINE_TESTS}/test_{each}.py" for each in ATTRIBUTES),
            f"{ENGINE_TESTS}/test_recorded.py",
            f"{ENGINE_TESTS}/test_scores.py",
            f"{ENGINE_TESTS}/test_about_alerts.py",
            *(f"{ENGINE_TESTS}/test_{each}.py" for each in DAYS[1:]),
        ),
        "not nothing_unknown",
    ),
    "person": Room((f"{ENGINE}/person.py",), (f"{ENGINE_TESTS}/test_person.py",)),
    "days": Room(
        (f"{ENGINE}/days.py", f"{ENGINE}/worn_text.py"),
        tuple(f"{ENGINE_TESTS}/test_{each}.py" for each in DAYS),
    ),
    "engine": Room(
        (f"{ENGINE}/*.py",),
        (
            *(f"{ENGINE_TESTS}/test_{each}.py" for each in CASES),
            *(f"{ROW_TESTS}/test_{each}.py" for each in CASE_ROWS),
            f"{CARD_TESTS}/test_disputes.py",
            f"{CARD_TESTS}/test_history.py",
        ),
    ),
    "cards": Room((f"{CARDS}/*.py",), (CARD_TESTS,)),
}
"""What an earlier one has, a later one leaves to it."""


def main() -> None:
    """Run the rooms or files that are named, and end with 1 if one fails.

    Where none is named, what has no score of the code as it is; with an option that
    asks for more than that, all.
    """
    options = _parser().parse_args()
    scored = _account()
    every = list(ROOMS) if options.fresh or options.sample else list(scored.to_run)
    named = options.modules or every
    if options.list or not named:
        print(scored)
        return
    passed = [
        run_room(room, files, options)
        for room in ROOMS
        if (files := _chosen(room, named)) is not None
    ]
    if not passed:
        sys.exit(
            f"nothing is called {' or '.join(named)}; rooms are: {', '.join(ROOMS)}"
        )
    if not options.modules:
        print(_account())
    sys.exit(not all(passed))


def _account() -> Account:
    """How the scores that are written down stand beside the code."""
    scores = json.loads(SCORES.read_text("utf-8"))
    return account(scores, {room: _digests(_files(room)) for room in ROOMS})


def _digests(files: list[str]) -> dict[str, str]:
    """The digests of files; a file without a function has none, and no mutants."""
    tools = TOOLS.read_text("utf-8")
    found = {each: digest((ROOT / each).read_text("utf-8"), tools) for each in files}
    return {file: each for file, each in found.items() if each is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="a room, or a file of one")
    parser.add_argument("--sample", type=int, help="mutate only so many functions")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--fresh", action="store_true", help="forget earlier runs")
    parser.add_argument(
        "--list", action="store_true", help="only say which scores are of older code"
    )
    parser.add_argument("--processes", type=int, default=1)
    return parser


def _chosen(room: str, named: list[str]) -> list[str] | None:
    """The files of a room that were named; empty is all of them, None is not at all."""
    files = [each for each in _files(room) if each in named]
    return [] if room in named else files or None


def _files(room: str) -> list[str]:
    """The files of a room that no earlier one has."""
    taken: set[str] = set()
    for each, of_it in ROOMS.items():
        found = {
            path.relative_to(ROOT).as_posix()
            for pattern in of_it.code
            for path in ROOT.glob(pattern)
        } - taken
        if each == room:
            return sorted(found)
        taken |= found
    return []


def run_room(room: str, files: list[str], options: argparse.Namespace) -> bool:
    """Return whether a room passes, and print why not."""
    print(f"== {', '.join(files) or room}", flush=True)
    place = WORK / room
    code = _digests(_files(room))
    _prepare(place, room, options.fresh)
    limits = ["--max-children", str(options.processes)]
    mutmut = [str(Path(sys.executable).with_name("mutmut")), "run", *limits]
    # Of the folders that all runs share, pytest removes what other runs still use.
    environ = {**os.environ, "PYTEST_DEBUG_TEMPROOT": str(place / "tmp")}
    for _ in range(2 if files else 1):
        names = _to_run(place / "mutants", files) if files else []
        if options.sample:
            names = _sampled(files or _files(room), options)
        run = subprocess.run([*mutmut, *names], cwd=place, env=environ)
        if run.returncode:
            return False
    return _tell(room, place / "mutants", code)


def _to_run(folder: Path, files: list[str]) -> list[str]:
    """The mutants of files of which nothing is known; one for mutmut to look for more.

    It runs whatever is named, and finds what has changed only when it runs.
    """
    codes = {
        path.relative_to(folder).as_posix(): codes for path, codes in read_codes(folder)
    }
    names = [_dotted(each) + ".*" for each in files if each not in codes]
    known = [
        (name, code) for file in files for name, code in codes.get(file, {}).items()
    ]
    names += [name for name, code in known if code is None]
    return names or [known[0][0]]


def _prepare(place: Path, room: str, fresh: bool) -> None:
    """Have the folder ready that mutmut works in; what it found there stands.

    But survivors are run again, for tests may have come. With other settings all is
    begun anew: mutmut would take a file that it copied for one that it mutated.
    """
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    text = StringIO()
    _settings(settings["tool:pytest"], ROOMS[room], _files(room)).write(text)
    file = place / "setup.cfg"
    if fresh or not file.exists() or file.read_text("utf-8") != text.getvalue():
        shutil.rmtree(place, ignore_errors=True)
    (place / "tmp").mkdir(parents=True, exist_ok=True)
    file.write_text(text.getvalue(), "utf-8")
    for name in LINKED:
        if name != "cds_service":
            shutil.rmtree(place / "mutants" / name, ignore_errors=True)
        if not (place / name).exists():
            (place / name).symlink_to(ROOT / name)
    forget_survivors(place / "mutants")


def _settings(pytest: SectionProxy, room: Room, files: list[str]) -> ConfigParser:
    settings = ConfigParser()
    only = [f"-k={room.only}"] if room.only else []
    settings["tool:pytest"] = pytest
    settings["mutmut"] = {
        "source_paths": "cds_service",
        "only_mutate": "\n".join(["", *files]),
        "also_copy": "\n".join(["", "cds_service/shipped", *LINKED[2:]]),
        "pytest_add_cli_args": "\n".join(["-pno:cacheprovider", *only]),
        "pytest_add_cli_args_test_selection": "\n".join(["", *room.tests]),
        "process_isolation": "fork",
        "timeout_multiplier": "30",
    }
    return settings


def _dotted(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _sampled(files: list[str], options: argparse.Namespace) -> list[str]:
    """Some functions of the files, by the names that mutmut gives their mutants."""
    found = []
    for file in files:
        for each in ast.parse((ROOT / file).read_text("utf-8")).body:
            if isinstance(each, ast.FunctionDef):
                found.append(f"{_dotted(file)}.x_{each.name}__mutmut_*")
            elif isinstance(each, ast.ClassDef):
                found += [
                    f"{_dotted(file)}.xǁ{each.name}ǁ{method.name}__mutmut_*"
                    for method in each.body
                    if isinstance(method, ast.FunctionDef)
                ]
    chance = random.Random(options.seed)
    return sorted(chance.sample(found, min(options.sample, len(found))))


def _tell(room: str, folder: Path, code: dict[str, str]) -> bool:
    """Print and write down how the results stand, and return whether that is well.

    They are of the *code*, by its digests, unless that has changed while it was run.
    """
    results = read_results(folder)
    verdict = judge(results, known_of(room))
    for module, (noticed, mutants) in verdict.scores.items():
        print(f"{noticed:5} of {mutants:5} {noticed / mutants:6.1%}  {module}")
    for module in results.not_run:
        print(f"not run, or not all of it: {module}")
    for each in verdict.noticed_by_now:
        print(f"listed, and killed by now: {each}")
    if verdict.unlisted:
        entries = as_entries(verdict.unlisted)
        print(f"survived, and not in {SURVIVORS.name}/{room}.yaml:")
        print(yaml.safe_dump(entries, allow_unicode=True, sort_keys=False, width=4000))
    _write(room, verdict.scores, code)
    print(f"{room}: {verdict.score:.1%} of the mutants were noticed")
    return verdict.passed


def _write(
    room: str, found: Mapping[str, tuple[int, int]], code: dict[str, str]
) -> None:
    """Write down the scores of a room, but none of code that has changed since."""
    now = _digests(list(code))
    scores = json.loads(SCORES.read_text("utf-8"))
    known = scores.setdefault(room, {})
    for module, (noticed, mutants) in found.items():
        if now.get(module) != code.get(module):
            print(f"changed while it was run, so it has no score: {module}")
            continue
        known[module] = {"mutants": mutants, "noticed": noticed, "code": now[module]}
    SCORES.write_text(json.dumps(scores, indent=2, sort_keys=True) + "\n", "utf-8")


def known_of(room: str) -> Known:
    """Return the survivors of a room that are listed."""
    file = SURVIVORS / f"{room}.yaml"
    text = file.read_text("utf-8") if file.exists() else ""
    return parse_known(yaml.safe_load(text) or {})


if __name__ == "__main__":
    main()
