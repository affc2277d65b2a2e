"""The quick check of a file's shape says what jsonschema says."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from cds_service.protocol.schemas import BrokenKeyword, Validator
from cds_service.rulebook.compile.compiler import kind_of
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.schemas import NAMES, bundle
from cds_service.rulebook.language.schemas.wording import tell
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.load import read_folder

FILES = read_folder(Path(__file__).parents[4] / "rules")
ODD = [None, True, 0, -1, 1.5, "", "x", [], [1, 1], {}, {"x": 1}]
SPOILT = [
    "site.yaml",
    "services.yaml",
    "alert-types.yaml",
    "metrics.yaml",
    "facts/pregnancy.yaml",
    "valuesets/beta-blockers.yaml",
    "cardiology/av-nodal-agent-bradycardia.yaml",
    "cardiology/av-nodal-agent-bradycardia.test.yaml",
]
MOST = 300


def parse(file: str) -> Document:
    document = parse_yaml(FILES[file], file, Findings())
    assert document is not None
    return document


@cache
def both_checks(name: str) -> tuple[Validator, Draft7Validator]:
    """The quick check of a kind of file, and jsonschema's."""
    schema, checker = bundle(name), FormatChecker(["date"])
    return Validator(schema), Draft7Validator(schema, format_checker=checker)


@pytest.mark.parametrize("file", [each for each in FILES if kind_of(each) in NAMES])
def test_of_shipped_files(file: str) -> None:
    document = parse(file)
    quick_check, validator = both_checks(kind_of(file))

    assert quick_check.holds(document.data)
    assert validator.is_valid(document.data)


@pytest.mark.slow
@pytest.mark.parametrize("file", SPOILT)
def test_of_files_with_something_odd_in_every_place(file: str) -> None:
    document = parse(file)
    quick_check, validator = both_checks(kind_of(file))
    refused = 0

    paths = list(document.marks)[1:]
    for number, path in enumerate(paths[:: len(paths) // MOST + 1]):
        holder: Any = document.value(path[:-1])
        kept, odd = holder[path[-1]], ODD[number * 7 % len(ODD)]
        holder[path[-1]] = odd
        said = quick_check.holds(document.data)
        assert said is validator.is_valid(document.data), (path, odd)
        refused += not said
        holder[path[-1]] = kept

    assert refused >= 3


def test_nothing_is_refused_without_a_word() -> None:
    broken = BrokenKeyword("contentEncoding", "base64", {}, 3, ("facts", "x"))

    (fault,) = tell(broken)

    assert fault.code == "CDS110"
    assert "contentEncoding" in fault.message
