"""Rules folders as the verbs that look at whole rulebooks need them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from ...fhir.models import check_resource
from ...rulebook.compile import compile_rulebook, kind_of
from ...rulebook.describe import RuleFile
from ...rulebook.engine import Rulebook
from ...rulebook.language import (
    DetectorTree,
    Document,
    Finding,
    Findings,
    Level,
    RuleTree,
    check_shape,
    parse_yaml,
    suggest,
)
from ...rulebook.load import InvalidRulebook, read_folder


class CouldNotRun(click.ClickException):
    """The command could not begin; exit code 2."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Compilation:
    """A rulebook beside the files that it was made of."""

    name: str
    """The folder, as the caller would name it."""
    files: Mapping[str, str]
    documents: Mapping[str, Document]
    trees: Mapping[str, RuleTree]
    """Of the rules, by file."""
    rulebook: Rulebook
    detectors: Mapping[str, DetectorTree]
    """The trees of detectors, by file."""

    def place(self, file: str) -> str:
        """Return a file of the folder, as the caller would name it."""
        return f"{self.name}/{file}" if self.name != "." else file

    def rule_file(self, rule: str) -> RuleFile:
        """Return a rule beside its tree."""
        found = self.rulebook.rules[rule]
        return RuleFile(found, self.trees[found.file])

    def find(self, rule: str) -> RuleFile:
        """Return the rule that a user names.

        Raises:
            click.UsageError: if there is none, with what may have been meant.
        """
        if rule not in self.rulebook.rules:
            help = suggest(rule, self.rulebook.rules)
            raise click.UsageError(f"there is no rule {rule}; {help}".rstrip("; "))
        return self.rule_file(rule)


def default_folder() -> Path:
    """Return the rules folder where none is named: CDS_RULES, or ./rules."""
    return Path(os.environ.get("CDS_RULES") or "rules")


def compile_folder(folder: Path | None) -> Compilation:
    """Return the rulebook of a folder, by default the usual one.

    Raises:
        CouldNotRun: if the folder cannot be read or its rules have errors.
    """
    chosen = folder or default_folder()
    try:
        files = read_folder(chosen)
    except InvalidRulebook as error:
        raise CouldNotRun(_said(chosen.as_posix(), error.findings)) from error
    return compile_texts(chosen.as_posix(), files)


def compile_texts(name: str, files: Mapping[str, str]) -> Compilation:
    """Return the rulebook of files that were read, or held, somewhere.

    Raises:
        CouldNotRun: if the rules have errors.
    """
    compiled = compile_rulebook(files, check_resource)
    if compiled.rulebook is None:
        raise CouldNotRun(_said(name, compiled.findings))
    documents = {**_tests(files), **compiled.documents}
    rulebook, detectors = compiled.rulebook, compiled.detectors
    return Compilation(name, files, documents, compiled.trees, rulebook, detectors)


def _tests(files: Mapping[str, str]) -> dict[str, Document]:
    """The test files that can be read; the rulebook is compiled without them."""
    found = {}
    for path in sorted(files):
        kind = kind_of(path)
        if kind in ("rule-test", "detector-test"):
            findings = Findings()
            document = parse_yaml(files[path], path, findings)
            if document and check_shape(kind, document, findings):
                found[path] = document
    return found


def _said(name: str, findings: tuple[Finding, ...]) -> str:
    errors = [each for each in findings if each.level is Level.ERROR]
    first = errors[0]
    place = f"{first.file}:{first.line}:{first.column}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return (
        f"the rules in {name} cannot be used: {place}: [{first.code}] "
        f"{first.message}{more}; see `cds-service check {name}`"
    )
