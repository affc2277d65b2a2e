"""One rule of a folder, compiled alone and in a moment, so that it can be tested alone.

What all rules rest on (value sets, shared facts, alert types, the site's time zone and
override reasons) is compiled once; what the site has tuned is left out.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ...protocol.services import Service
from ...wearables.metrics import Catalogue
from ..compile.catalogue_builder import build_catalogue
from ..compile.compiler import kind_of
from ..compile.fact_builder import Shelf
from ..compile.rule_builder import build_rule
from ..compile.site_builder import build_site
from ..engine.rows.selectors import Selectors
from ..engine.rulebook import Program, ServiceRules
from ..engine.rules import Site
from ..language.detectors import read_detector, titles_of
from ..language.diagnostics import Finding, Findings, Level
from ..language.document import Document
from ..language.schemas import check_shape
from ..language.source import parse_yaml
from ..language.tree import FactTree, RuleTree
from ..language.tree_reader import read_fact, read_rule
from ..terminology.lexicon import Lexicon, build_lexicon
from ..terminology.measured import Quantities, quantities_of
from ..terminology.valuesets import ValueSet, build_valuesets
from .notation import ExampleError

_SERVICE = "rule-test"
_RESTS_ON = (
    "fact",
    "valueset",
    "lexicon",
    "alert-types",
    "metrics",
    "units",
    "detector",
)
"""Kinds of files that rules rest on."""
_READING = ("unresolved", "reading")
_SITE_KEYS = (
    *("time_zone", "overlays", "override_reasons", "orders", "pages"),
    *_READING,
)


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What the rules of a folder rest on."""

    files: Mapping[str, str]
    site: Site
    site_data: Mapping[str, Any]
    """What tests keep of ``site.yaml``."""
    valuesets: Mapping[str, ValueSet]
    lexicon: Lexicon
    catalogue: Catalogue
    """What wearables tell."""
    quantities: Quantities
    detectors: Mapping[str, str]
    """Titles by name."""
    facts: Mapping[str, FactTree]
    """The facts of ``facts/`` by name."""
    errors: tuple[Finding, ...]
    known: Mapping[str, Document]
    """Documents that were right before."""


def build_shared_parts(
    files: Mapping[str, str], known: Mapping[str, Document] = MappingProxyType({})
) -> SharedParts:
    """Return what the rules of a folder rest on; its errors say what is wrong.

    *known* are documents that were right before: a file whose text is still the same is
    not parsed again.
    """
    findings = Findings()
    sound: dict[str, list[Document]] = {kind: [] for kind in _RESTS_ON}
    for name in sorted(files):
        kind = kind_of(name)
        if kind in sound:
            document = _read(name, files[name], known, findings)
            if document is not None:
                sound[kind].append(document)
    kept = _site_data(files.get("site.yaml"))
    site_document = _as_document("site.yaml", {**kept, "format": 1})
    sets, words = sound["valueset"], sound["lexicon"]
    site = build_site(site_document, [*sets, *words], findings)
    lexicon = build_lexicon(words, site.overlays)
    quantities = quantities_of(next(iter(sound["units"]), None))
    valuesets = build_valuesets(
        sets, site.overlays, findings, files, lexicon, quantities
    )
    return SharedParts(
        files=files,
        site=replace(site, serve_unapproved=True),
        site_data=kept,
        valuesets=valuesets,
        lexicon=lexicon,
        catalogue=build_catalogue(
            next(iter(sound["metrics"]), None), next(iter(sound["alert-types"]), None)
        ),
        quantities=quantities,
        detectors=titles_of(map(read_detector, sound["detector"])),
        facts={tree.name: tree for tree in map(read_fact, sound["fact"])},
        errors=_errors(findings),
        known=known,
    )


def _read(
    name: str, text: str, known: Mapping[str, Document], findings: Findings
) -> Document | None:
    """The document; None, with findings, where it is not of the right shape."""
    document = known.get(name)
    if document is not None and document.text == text:
        return document
    document = parse_yaml(text, name, findings)
    if document is None or not check_shape(kind_of(name), document, findings):
        return None
    return document


@dataclass(slots=True)
class OneRule:
    """A rule that can be compiled again and again, as it stands or changed."""

    shared: SharedParts
    tree: RuleTree
    _shelf: Shelf
    _selectors: Selectors | None = field(default=None)

    def compile(
        self, params: Mapping[str, Any], tree: RuleTree | None = None
    ) -> ServiceRules:
        """A service that serves the rule alone, on the rule's first hook.

        *tree* is another version of the rule. Versions that read the same selectors
        share them, and so may share what was read of a patient.

        Raises:
            ExampleError: if the rule does not compile, with every error.
        """
        tree = tree or self.tree
        findings = Findings()
        tuned = {"status": "active", **({"params": dict(params)} if params else {})}
        site = self.shared.site
        site_document = _as_document(
            "site.yaml",
            {
                **self.shared.site_data,
                "unapproved": "serve",
                "rules": {tree.name: tuned},
            },
        )
        shelf = replace(self._shelf, findings=findings)
        rule = build_rule(tree, shelf, site, site_document, findings)
        if rule is None or findings.has_errors:
            raise ExampleError(refusal(_errors(findings)))
        service = Service(
            _SERVICE, tree.hooks[0], "Rule test", "One rule under test.", "", {}
        )
        program = Program(self._interned(), (rule,))
        return ServiceRules(service, (), {}, (rule,), program, site)

    def _interned(self) -> Selectors:
        slots = tuple(self._shelf.selectors)
        if self._selectors is None or self._selectors.all != slots:
            self._selectors = Selectors(
                slots, self.shared.valuesets, self.shared.lexicon
            )
        return self._selectors


def open_rule(shared: SharedParts, rule: str) -> OneRule:
    """The rule of that name, ready to be compiled.

    Raises:
        ExampleError: if the folder has no such rule, or it cannot be read.
    """
    own = [name for name in shared.files if name.rpartition("/")[2] == f"{rule}.yaml"]
    own = [name for name in own if kind_of(name) == "rule"]
    if not own:
        raise ExampleError(f"there is no rule `{rule}`")
    findings = Findings()
    document = _read(own[0], shared.files[own[0]], shared.known, findings)
    errors = (*_errors(findings), *shared.errors)
    if document is None or errors:
        raise ExampleError(refusal(errors))
    shelf = Shelf(
        shared.valuesets,
        shared.catalogue,
        shared.facts,
        Findings(),
        quantities=shared.quantities,
        detectors=shared.detectors,
    )
    return OneRule(shared, read_rule(document), shelf)


def refusal(errors: Iterable[Finding], kind: str = "rule") -> str:
    """Why a rule or a detector cannot be tested, in one line."""
    return f"the {kind} does not compile: " + "; ".join(
        f"{each.file}:{each.line}:{each.column}: {each.message}" for each in errors
    )


def _errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(each for each in findings if each.level is Level.ERROR)


def _as_document(file: str, data: Mapping[str, Any]) -> Document:
    return Document(file, json.dumps(data), dict(data))


def _site_data(text: str | None) -> dict[str, Any]:
    """Return what tests keep of a site's file.

    Compiling all tells what is wrong with it.
    """
    document = parse_yaml(text or "", "", Findings())
    data = document.data if document else None
    kept = data if isinstance(data, dict) else {}
    return {"time_zone": "UTC"} | {key: kept[key] for key in _SITE_KEYS if key in kept}
