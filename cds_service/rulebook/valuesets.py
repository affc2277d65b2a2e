"""Value sets: the codes, prefixes and ingredient names that a rule means by a name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .document import Document, Path
from .expansions import meant
from .findings import Findings, quote, suggest
from .terminology import SYSTEMS, canonical_system, normalise_code
from .terminology_files import TerminologyFiles
from .valueset_checks import by_name, check_valueset, entries, overlay_of
from .valueset_parts import Draft, ValueSet, add, freeze, inherit, measure_of

__all__ = [
    "SYSTEMS",
    "ValueSet",
    "build_valuesets",
    "canonical_system",
    "normalise_code",
    "overlay_names",
]

_RXNORM = SYSTEMS["rxnorm"]
_DEPTH_LIMIT = 20


def overlay_names(documents: Iterable[Document]) -> frozenset[str]:
    """The overlays that the value-set files offer: folders with ``extends`` files."""
    return frozenset(overlay_of(each) for each in documents if "extends" in each.data)


def build_valuesets(
    documents: Iterable[Document],
    overlays: Collection[str],
    findings: Findings,
    folder: Mapping[str, str] = MappingProxyType({}),
) -> Mapping[str, ValueSet]:
    """Every value set by name, from documents whose shape has been checked.

    Files of an overlay folder count only if *overlays* names the folder; their codes
    are checked all the same. A set with errors is still given, as far as it goes.
    *folder* holds the texts of the rules folder, with what was imported.
    """
    files = list(documents)
    offered = overlay_names(files) - set(overlays)
    named = by_name(files, findings)
    for each in files:
        check_valueset(each, named, findings)
    builder = _Builder(
        named={n: each for n, each in named.items() if overlay_of(each) not in offered},
        extensions=[
            each
            for each in files
            if "extends" in each.data and overlay_of(each) not in offered
        ],
        findings=findings,
        terms=TerminologyFiles(folder, findings),
    )
    return {name: builder.build(name) for name in builder.named}


@dataclass(slots=True)
class _Builder:
    """Resolves sets that are made of other sets."""

    named: Mapping[str, Document]
    extensions: list[Document]
    findings: Findings
    terms: TerminologyFiles
    built: dict[str, ValueSet] = field(default_factory=dict)
    under_way: list[str] = field(default_factory=list)

    def build(self, name: str) -> ValueSet:
        """The set *name*; what it includes is built first."""
        if name not in self.built:
            self.under_way.append(name)
            self.built[name] = self._assemble(name)
            self.under_way.pop()
        return self.built[name]

    def _assemble(self, name: str) -> ValueSet:
        document = self.named[name]
        extensions = [each for each in self.extensions if each.data["extends"] == name]
        included, excluded, parts = Draft(), Draft(), list[ValueSet]()
        for each in [document, *extensions]:
            included.words.update(word.lower() for word in each.data.get("words", ()))
            for path, entry in entries(each, "include"):
                included.read(entry)
                self._import(each, path, entry, included, excluded)
                parts += self._referred(each, path, entry)
            for path, entry in entries(each, "exclude"):
                excluded.read(entry)
                for other in self._referred(each, path, entry):
                    excluded.absorb(other)
        self._expand(document, included, excluded)
        own = freeze("", {}, included, excluded)
        for part in parts:
            included.absorb(part)
            inherit(excluded, part, [own, *parts])
        result = freeze(name, document.data, included, excluded)
        result = self._settled(
            replace(result, measure=measure_of(result.measure, parts))
        )
        if not (result.codes or result.prefixes or result.names):
            message = f"the value set {quote(name)} holds nothing"
            help = "see what `exclude` takes away"
            self.findings.error(
                document, ("include",), "CDS212", message, help, key=True
            )
        return result

    def _import(
        self,
        document: Document,
        path: Path,
        entry: Mapping[str, Any],
        included: Draft,
        excluded: Draft,
    ) -> None:
        """Take in the FHIR ValueSet that an entry names, if it names one."""
        if "fhir" not in entry:
            return
        imported = self.terms.imported(document, (*path, "fhir"))
        if imported is not None:
            for draft, concepts in (
                (included, imported.included),
                (excluded, imported.excluded),
            ):
                for system, code, _ in concepts:
                    add(draft.codes, system, (normalise_code(system, code),))

    def _expand(self, document: Document, included: Draft, excluded: Draft) -> None:
        """Add the products of the ingredients, and leave out those of other forms."""
        expansion = self.terms.expansion
        wanted = included.ingredients | excluded.ingredients
        if not wanted or not expansion.covered:
            return
        missing = sorted(wanted - expansion.covered)
        if missing:
            message = (
                f"the imported RxNorm was not expanded for {quote(missing[0])}"
                + (f" and {len(missing) - 1} more" if missing[1:] else "")
                + "; products are matched by name"
            )
            help = "run `cds-service valueset import rxnorm` again"
            path = _path_of(document, missing[0])
            self.findings.warning(document, path, "CDS214", message, help)
        held, ruled_out = meant(expansion, included.ingredients, excluded.forms)
        add(included.codes, _RXNORM, held)
        add(excluded.codes, _RXNORM, ruled_out)
        unwanted, _ = meant(expansion, excluded.ingredients, ())
        add(excluded.codes, _RXNORM, unwanted)

    def _settled(self, valueset: ValueSet) -> ValueSet:
        """The set with the codes that its expansion is certain of.

        What a mixed product holds besides may be an ingredient without a code.
        """
        covered, known = self.terms.expansion.covered, self.terms.expansion.known
        if not covered or not covered >= valueset.ingredients:
            return valueset
        if valueset.uncoded:
            known = replace(known, codes=known.codes - known.mixed)
        elif not valueset.ingredients:
            return valueset
        return replace(valueset, known=known)

    def _referred(
        self, document: Document, path: Path, entry: Mapping[str, Any]
    ) -> list[ValueSet]:
        """The set that an entry refers to, if it refers to one that can be had."""
        name = entry.get("valueset")
        if name is None:
            return []
        path = (*path, "valueset")
        if name in self.under_way:
            chain = [*self.under_way[self.under_way.index(name) :], name]
            message = "value sets include each other: " + " → ".join(chain)
            help = "remove one of the references"
            self.findings.error(document, path, "CDS204", message, help)
            return []
        if len(self.under_way) > _DEPTH_LIMIT:
            message = f"more than {_DEPTH_LIMIT} value sets include each other in a row"
            help = "include them here, without the sets between"
            self.findings.error(document, path, "CDS204", message, help)
            return []
        if name not in self.named:
            message = f"value set {quote(name)} does not exist"
            help = suggest(name, self.named) or f"add valuesets/{name}.yaml"
            self.findings.error(document, path, "CDS202", message, help)
            return []
        return [self.build(name)]


def _path_of(document: Document, ingredient: str) -> Path:
    """Where a file, or none of them, names an ingredient."""
    for kind in ("include", "exclude"):
        for path, entry in entries(document, kind):
            for index, each in enumerate(entry.get("ingredients", ())):
                if each.get("code", "").strip() == ingredient:
                    return (*path, "ingredients", index, "code")
    return ("include",)
