"""The rules folder, compiled: files in, one rulebook or every finding out."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ...wearables.metrics import Catalogue
from ..engine.rows.selectors import Selectors
from ..engine.rulebook import Rulebook
from ..engine.rules import CheckResource, Rule, Site, unchecked
from ..language.detectors import DetectorTree, read_detector, titles_of
from ..language.diagnostics import Finding, Findings, quote, suggest
from ..language.document import Document
from ..language.schemas import check_shape
from ..language.slips import check_slips
from ..language.source import parse_yaml
from ..language.tree import FactTree, RuleTree, SharedFact
from ..language.tree_reader import read_fact, read_rule
from ..terminology.files import terminology_kind
from ..terminology.lexicon import FOLDER, build_lexicon
from ..terminology.locks import check_lock
from ..terminology.measured import UNITS, Quantities, check_units, quantities_of
from ..terminology.valuesets import build_valuesets
from .catalogue_builder import ALERT_TYPES, METRICS, OUTPUTS, build_catalogue
from .catalogue_checks import check_catalogue, check_outputs
from .detector_builder import build_detectors
from .fact_builder import FactBuilder, Shelf
from .life_cycle import check_successors
from .orders import check_orders
from .rule_builder import build_rule
from .services_builder import build_services, check_served
from .site_builder import build_site

SITE, SERVICES = "site.yaml", "services.yaml"
DETECTORS = "detectors/"
_FIXED = {
    SITE: "site",
    SERVICES: "services",
    ALERT_TYPES: "alert-types",
    METRICS: "metrics",
    OUTPUTS: "outputs",
    UNITS: "units",
}
OF_TESTS = frozenset({"rule-test", "detector-test", "fhir"})
"""The kinds of file that only tests need: they are no part of a rulebook."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a rules folder."""

    rulebook: Rulebook | None
    """None where any finding is an error."""
    findings: tuple[Finding, ...]
    documents: Mapping[str, Document] = field(default_factory=dict)
    """Every file but tests that could be parsed, by its path in the folder."""
    trees: Mapping[str, RuleTree] = field(default_factory=dict)
    """Every rule file whose shape is right, by its path in the folder."""
    facts: Mapping[str, FactTree] = field(default_factory=dict)
    """The shared facts whose files have the right shape, by name."""
    detectors: Mapping[str, DetectorTree] = field(default_factory=dict)
    """Every detector's file whose shape is right, by its path in the folder."""
    quantities: Quantities = Quantities()
    """What codes measure."""


def kind_of(path: str) -> str:
    """The schema that a file of the rules folder follows, by where it stands."""
    if path in _FIXED:
        return _FIXED[path]
    if terminology_kind(path):
        return terminology_kind(path)
    if path.endswith(".json"):
        return "fhir"
    if path.startswith("facts/"):
        return "fact"
    if path.startswith(DETECTORS):
        return "detector-test" if path.endswith(".test.yaml") else "detector"
    if path.startswith("valuesets/"):
        return "valueset"
    if path.startswith(FOLDER):
        return "lexicon"
    return "rule-test" if path.endswith(".test.yaml") else "rule"


def carry_on() -> None:
    """No pause."""


def compile_rulebook(
    files: Mapping[str, str],
    check_resource: CheckResource = unchecked,
    pause: Callable[[], None] = carry_on,
    known: Mapping[str, Document] = MappingProxyType({}),
) -> Compiled:
    """The rulebook that *files* (path in the folder to text) make.

    *check_resource* says what is wrong with a FHIR resource that a rule creates. Tests
    are left aside. *pause* is called between any two files, so that a server can answer
    in between. *known* are documents that were right before: a file whose text is still
    the same is not parsed again, which is most of the work.

    One wrong file keeps the whole rulebook from being served: half a set of rules is a
    silence that looks like safety.
    """
    return _Compilation(files, check_resource, pause, known).run()


def digest_of(files: Mapping[str, str]) -> str:
    """SHA-256 over the files that decide what is served; tests and locks do not."""
    digest = hashlib.sha256()
    for path in sorted(files):
        if kind_of(path) not in {*OF_TESTS, "lock"}:
            for part in (path, files[path]):
                encoded = part.encode()
                digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


class _Compilation:
    def __init__(
        self,
        files: Mapping[str, str],
        check_resource: CheckResource,
        pause: Callable[[], None],
        known: Mapping[str, Document],
    ) -> None:
        self.files = files
        self.check_resource = check_resource
        self.pause = pause
        self.known = known
        self.digest = digest_of(files)
        self.findings = Findings()
        self.documents: dict[str, Document] = {}
        self.sound: dict[str, dict[str, Document]] = {}
        """Documents whose shape is right, by kind and path."""
        self.trees: dict[str, RuleTree] = {}
        """Of the rules among them, by path."""
        self.facts: dict[str, FactTree] = {}
        """Of the shared facts among them, by name."""
        self.detectors: dict[str, DetectorTree] = {}
        """Of the detectors among them, by path."""

    def run(self) -> Compiled:
        self._read()
        quantities = quantities_of(self._one(UNITS))
        catalogue = self._catalogue(quantities)
        sets = self.sound.get("valueset", {}).values()
        words = self.sound.get("lexicon", {}).values()
        site = build_site(self._one(SITE), [*sets, *words], self.findings)
        lexicon = build_lexicon(words, site.overlays)
        valuesets = build_valuesets(
            sets, site.overlays, self.findings, self.files, lexicon, quantities
        )
        check_lock(valuesets, self.files, self.findings)
        detectors = build_detectors(
            self.detectors, catalogue, site, self._one(SITE), self.findings
        )
        shelf = Shelf(
            valuesets,
            catalogue,
            self.facts,
            self.findings,
            self.check_resource,
            quantities,
            titles_of(self.detectors.values()),
        )
        self._check_shared(shelf)
        rules = self._rules(shelf, site)
        self._check_said(shelf)
        selectors = Selectors(tuple(shelf.selectors), valuesets, lexicon)
        services = build_services(
            self._one(SERVICES),
            rules,
            selectors,
            valuesets,
            site,
            self.digest,
            self.findings,
        )
        if not self.findings.has_errors:
            check_served(services, rules, self.documents, self.findings)
        findings = tuple(self.findings)
        if self.findings.has_errors:
            return self._compiled(None, findings)
        rulebook = Rulebook(
            digest=self.digest,
            site=site,
            services=services,
            rules=rules,
            catalogue=catalogue,
            valuesets=valuesets,
            lexicon=lexicon,
            detectors=detectors,
        )
        return self._compiled(rulebook, findings)

    def _read(self) -> None:
        """Parse every file, and rules and shared facts to their trees."""
        for path in sorted(self.files):
            if kind_of(path) not in OF_TESTS and not terminology_kind(path):
                self._take(path)
                self.pause()
        for path, document in self.sound.get("rule", {}).items():
            self.trees[path] = read_rule(document)
        shared = map(read_fact, self.sound.get("fact", {}).values())
        self.facts = {tree.name: tree for tree in shared}
        for path, document in self.sound.get("detector", {}).items():
            self.detectors[path] = read_detector(document)
        for path in (SITE, SERVICES, ALERT_TYPES):
            if path not in self.files:
                message, help = f"there is no {path}", "name the folder that has it"
                self.findings.error_at(path, 1, 1, "CDS010", message, help)
        check_units(self._one(UNITS), self.findings)

    def _catalogue(self, quantities: Quantities) -> Catalogue:
        """What wearables may tell."""
        told = self._one(METRICS), self._one(ALERT_TYPES)
        lacks = METRICS not in self.files
        check_catalogue(*told, quantities, self.findings, lacks_metrics=lacks)
        outputs = self._one(OUTPUTS)
        catalogue = build_catalogue(*told, outputs)
        # A file of metrics that is broken would say what is not known here.
        if outputs is not None and (told[0] is not None or lacks):
            check_outputs(outputs, catalogue.metrics, self.findings)
        return catalogue

    def _compiled(
        self, rulebook: Rulebook | None, findings: tuple[Finding, ...]
    ) -> Compiled:
        quantities = quantities_of(self._one(UNITS))
        return Compiled(
            rulebook,
            findings,
            self.documents,
            self.trees,
            self.facts,
            self.detectors,
            quantities,
        )

    def _take(self, path: str) -> None:
        kind, known = kind_of(path), self.known.get(path)
        if known is not None and known.text == self.files[path]:
            self.documents[path] = self.sound.setdefault(kind, {})[path] = known
            check_slips(known, self.findings)
            return
        document = parse_yaml(self.files[path], path, self.findings)
        if document is None:
            return
        self.documents[path] = document
        check_slips(document, self.findings)
        if check_shape(kind, document, self.findings):
            self.sound.setdefault(kind, {})[path] = document

    def _one(self, path: str) -> Document | None:
        return self.sound.get(kind_of(path), {}).get(path)

    def _check_shared(self, shelf: Shelf) -> None:
        """A shared fact that no rule uses is checked all the same."""
        trial = Shelf(
            shelf.valuesets,
            shelf.catalogue,
            shelf.shared,
            self.findings,
            detectors=shelf.detectors,
        )
        for name, tree in shelf.shared.items():
            used = SharedFact(("fact",), name)
            FactBuilder(trial, tree.document).build_one(name, used, ())

    def _check_said(self, shelf: Shelf) -> None:
        """Report sets that rules ask in a unit, and that do not say theirs."""
        for document in self.sound.get("valueset", {}).values():
            name = document.data.get("valueset")
            unit = shelf.unsaid.get(name)
            if unit is not None:
                message = f"{quote(name)} does not say in which unit its results are"
                help = f'write `unit: "{unit}"`, and which values are `plausible`'
                self.findings.warning(
                    document, ("valueset",), "CDS233", message, help, key=True
                )

    def _rules(self, shelf: Shelf, site: Site) -> dict[str, Rule]:
        site_document = self._one(SITE)
        settings = site_document.data.get("rules", {}) if site_document else {}
        rules: dict[str, Rule] = {}
        written: dict[str, RuleTree] = {}
        for path, tree in self.trees.items():
            name = tree.name
            if name in written:
                first = written[name].document.file
                message = f"{quote(name)} is also the name of {first}"
                help = "rename one of the rules, and its file"
                self.findings.error(tree.document, ("rule",), "CDS606", message, help)
                continue
            written[name] = tree
            rule = build_rule(tree, shelf, site, site_document, self.findings)
            if rule is not None:
                rules[name] = rule
            self.pause()
        check_successors(written, self.findings)
        check_orders(site_document, self.trees.values(), self.findings)
        if site_document:
            for name in settings:
                if name not in written:
                    self.findings.error(
                        site_document,
                        ("rules", name),
                        "CDS014",
                        f"there is no rule {quote(name)}",
                        suggest(name, written) or "remove it",
                        key=True,
                    )
        return rules
