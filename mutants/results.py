"""Mutants: what became of each, and which survivors are known, each with its reason.

A mutant is told by the function it is in and by the statement before and after, each on
one line as ``ast.unparse`` writes it: a number would be another one after each change.
"""

import ast
import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOWEST_SCORE = 0.9
"""Share of the mutants that the tests must notice."""
NOTICED = {1, 3, -24, 24, 152, -11, -9}
"""Exit codes of the tests of a mutant, as mutmut keeps them: failed, an error of
pytest, too long, broken down. A mutant that no test reaches has survived.
"""
TOO_LONG = {-24, 24, 152}


@dataclass(frozen=True, order=True)
class Mutant:
    """One change of one function."""

    module: str
    """Its path, e.g. ``cds_service/trust/keys.py``."""
    function: str
    """With its class, e.g. ``Keys.read``."""
    was: str = ""
    now: str = ""


@dataclass(frozen=True)
class Results:
    """What a run has found."""

    noticed: Counter[Mutant]
    survived: Counter[Mutant]
    not_run: tuple[str, ...] = ()
    """Modules of which some mutants, or all, are still to be run."""


@dataclass(frozen=True)
class Known:
    """The survivors that a person has looked at."""

    survivors: Counter[Mutant]
    left_out: frozenset[Mutant]
    """Functions that no mutant of is ever run, without ``was`` and ``now``."""


def read_results(folder: Path) -> Results:
    """Return what became of the mutants in the *folder* that mutmut works in."""
    noticed: Counter[Mutant] = Counter()
    survived: Counter[Mutant] = Counter()
    not_run = []
    for path, codes in read_codes(folder):
        module = path.relative_to(folder)
        found = dict(_mutants(module, path))
        if None in codes.values():
            not_run.append(module.as_posix())
        for key, code in codes.items():
            mutant = found[key.rpartition(".")[2]]
            if code is not None:
                (noticed if code in NOTICED else survived)[mutant] += 1
    return Results(noticed, survived, tuple(not_run))


def read_codes(folder: Path) -> Iterator[tuple[Path, dict[str, int | None]]]:
    """Yield the files that have mutants, with what mutmut keeps of each by its name."""
    for meta in sorted(folder.rglob("*.py.meta")):
        codes = json.loads(meta.read_text("utf-8"))["exit_code_by_key"]
        if codes:
            yield meta.with_suffix(""), codes


def forget_survivors(folder: Path) -> None:
    """Have mutmut run again what has survived in the *folder* that it works in.

    And what took too long: it may have been the machine that had too much to do.
    """
    for meta in folder.rglob("*.py.meta"):
        found = json.loads(meta.read_text("utf-8"))
        codes = found["exit_code_by_key"]
        found["exit_code_by_key"] = {
            key: code if code in NOTICED - TOO_LONG else None
            for key, code in codes.items()
        }
        meta.write_text(json.dumps(found, indent=4), "utf-8")


def _mutants(module: Path, path: Path) -> Iterator[tuple[str, Mutant]]:
    """The mutants that stand in a file that mutmut wrote, by their names there."""
    written = {
        each.name: each
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.FunctionDef) and "__mutmut_" in each.name
    }
    for name, changed in written.items():
        function, _, number = name.partition("__mutmut_")
        if number != "orig":
            was, now = _change(written[f"{function}__mutmut_orig"], changed)
            yield name, Mutant(module.as_posix(), _readable(function), was, now)


def _readable(mangled: str) -> str:
    if mangled.startswith("xǁ"):
        return mangled.removeprefix("xǁ").replace("ǁ", ".")
    return mangled.removeprefix("x_")


def _change(one: ast.FunctionDef, other: ast.FunctionDef) -> tuple[str, str]:
    """The statements that differ; where it is the signature, both are named ``f``."""
    before, after = statements(one), statements(other)
    lines = [*difflib.unified_diff(before, after, n=0, lineterm="")][2:]
    taken = [each[1:] for each in lines if each.startswith("-")]
    given = [each[1:] for each in lines if each.startswith("+")]
    return "; ".join(taken), "; ".join(given)


def statements(function: ast.FunctionDef) -> list[str]:
    """Return the lines of a function, one a statement, without indentation."""
    first, *others = ast.unparse(function).splitlines()
    return [
        first.replace(f"def {function.name}(", "def f(", 1),
        *(each.strip() for each in others),
    ]


def parse_known(document: Mapping[str, Any]) -> Known:
    """Return the survivors that are listed in a file, by module and function.

    Raises:
        ValueError: if one is listed without a reason.
    """
    survivors: Counter[Mutant] = Counter()
    left_out = set()
    for module, entries in document.items():
        for entry in entries:
            if not entry.get("why"):
                raise ValueError(f"{module}: {entry} has no reason")
            if "was" not in entry:
                left_out.add(Mutant(module, entry["function"]))
                continue
            for now in entry["now"]:
                survivors[Mutant(module, entry["function"], entry["was"], now)] += 1
    return Known(survivors, frozenset(left_out))


@dataclass(frozen=True)
class Verdict:
    """How results stand beside what is known."""

    scores: Mapping[str, tuple[int, int]]
    """Noticed and all, by module, without the functions that are left out; of modules
    whose mutants have all been run.
    """
    unlisted: tuple[Mutant, ...]
    noticed_by_now: tuple[Mutant, ...]
    """Listed as survivors, and killed."""

    @property
    def score(self) -> float:
        """The share of the mutants of these modules that were noticed."""
        noticed = sum(each for each, _ in self.scores.values())
        mutants = sum(each for _, each in self.scores.values())
        return noticed / mutants if mutants else 1.0

    @property
    def passed(self) -> bool:
        """Whether the score is high enough and every survivor is listed."""
        return self.score >= LOWEST_SCORE and not self.unlisted


def judge(results: Results, known: Known) -> Verdict:
    """Return the scores, and where results and the list differ."""
    noticed = _counted(results.noticed, known)
    survived = _counted(results.survived, known)
    modules = {each.module for each in (*noticed, *survived)} - {*results.not_run}
    gone = known.survivors - survived
    return Verdict(
        {
            each: (_of(noticed, each), _of(noticed, each) + _of(survived, each))
            for each in sorted(modules)
        },
        tuple(sorted((survived - known.survivors).elements())),
        tuple(sorted(each for each in gone if each in noticed)),
    )


def misplaced(known: Known, root: Path) -> list[Mutant]:
    """Return what is listed of code that is not, or not any more, under *root*."""
    listed = {*known.survivors, *known.left_out}
    code = {each.module: _functions(root / each.module) for each in listed}
    return sorted(
        each
        for each in listed
        if each.function not in code[each.module]
        or each.was
        and not set(each.was.split("; ")) <= code[each.module][each.function]
    )


def _functions(path: Path) -> dict[str, set[str]]:
    """The statements of the functions and methods of a module."""
    if not path.exists():
        return {}
    found = {}
    for each in ast.parse(path.read_text("utf-8")).body:
        prefix = f"{each.name}." if isinstance(each, ast.ClassDef) else ""
        inside = each.body if isinstance(each, ast.ClassDef) else [each]
        for function in inside:
            if isinstance(function, ast.FunctionDef):
                found[prefix + function.name] = set(statements(function))
    return found


def _counted(found: Counter[Mutant], known: Known) -> Counter[Mutant]:
    return Counter(
        {
            each: count
            for each, count in found.items()
            if Mutant(each.module, each.function) not in known.left_out
        }
    )


def _of(found: Counter[Mutant], module: str) -> int:
    return sum(count for each, count in found.items() if each.module == module)


def as_entries(mutants: Iterable[Mutant]) -> dict[str, list[dict[str, Any]]]:
    """Return mutants as they are listed, their reasons still to be written."""
    document: dict[str, list[dict[str, Any]]] = {}
    for each in mutants:
        entries = document.setdefault(each.module, [])
        for entry in entries:
            if (entry["function"], entry["was"]) == (each.function, each.was):
                entry["now"].append(each.now)
                break
        else:
            entries.append(
                {
                    "function": each.function,
                    "why": "",
                    "was": each.was,
                    "now": [each.now],
                }
            )
    return document
