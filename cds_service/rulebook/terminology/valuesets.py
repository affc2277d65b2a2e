"""Value sets: the codes, prefixes and ingredient names that a rule means by a name."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ...fhir.code_systems import SYSTEMS, canonical_system, normalise_code
from ..language.diagnostics import Findings, quote, suggest
from ..language.document import Document, Path
from .checks import by_name, check_valueset, entries, overlay_of, tell_product
from .expansions import Expansion, meant
from .files import TerminologyFiles
from .lexicon import FOLDER, Lexicon
from .measured import Quantities, check_codes
from .parts import SetDraft, ValueSet, add, freeze, inherit, measure_of

__all__ = [
    "SYSTEMS",
    "ValueSet",
    "build_valuesets",
    "canonical_system",
    "normalise_code",
    "overlay_names",
]

_RXNORM, _ATC = SYSTEMS["rxnorm"], SYSTEMS["atc"]
_DEPTH_LIMIT = 20


def overlay_names(documents: Iterable[Document]) -> frozenset[str]:
    """The overlays that files offer: folders with ``extends`` files, or with words."""
    found = (
        overlay_of(each)
        for each in documents
        if "extends" in each.data or each.file.startswith(FOLDER)
    )
    return frozenset(name for name in found if name)


def build_valuesets(
    documents: Iterable[Document],
    overlays: Collection[str],
    findings: Findings,
    folder: Mapping[str, str] = MappingProxyType({}),
    lexicon: Lexicon = Lexicon(),
    quantities: Quantities = Quantities(),
) -> Mapping[str, ValueSet]:
    """Every value set by name, from documents whose shape has been checked.

    Files of an overlay folder count only if *overlays* names the folder; their codes
    are checked all the same. A set with errors is still given, as far as it goes.
    *folder* holds the texts of the rules folder, with what was imported; *lexicon* says
    what the words under ``dose_forms`` mean, and *quantities* what codes measure.
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
        lexicon=lexicon,
    )
    built = {name: builder.build(name) for name in builder.named}
    classes = _classes(files)
    for name, document in builder.named.items():
        _check_reach(document, built[name], classes, findings)
        added = [each for each in builder.extensions if each.data["extends"] == name]
        check_codes(document, added, built[name], quantities, findings)
    return built


@dataclass(slots=True)
class _Builder:
    """Resolves sets that are made of other sets."""

    named: Mapping[str, Document]
    extensions: list[Document]
    findings: Findings
    terms: TerminologyFiles
    lexicon: Lexicon
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
        included, excluded, parts = SetDraft(), SetDraft(), list[ValueSet]()
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
        result = replace(
            result,
            forms=tuple(map(self.lexicon.form, sorted(excluded.forms))),
            partial=_partial([document, *extensions], parts),
            products=self.terms.expansion.products,
            measure=measure_of(result.measure, parts),
        )
        result = self._settled(result)
        if not (result.codes or result.prefixes or result.names):
            message = f"the value set {quote(name)} is empty"
            help = "check what `exclude` removes"
            self.findings.error(
                document, ("include",), "CDS212", message, help, key=True
            )
        return result

    def _import(
        self,
        document: Document,
        path: Path,
        entry: Mapping[str, Any],
        included: SetDraft,
        excluded: SetDraft,
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

    def _check_products(self, document: Document, expansion: Expansion) -> None:
        """A product's code holds one strength and form, and is no ingredient's."""
        for path, entry in entries(document, "include"):
            for index, each in enumerate(entry.get("ingredients", ())):
                code = each.get("code", "")
                if expansion.is_product(code):
                    tell_product(
                        document, (*path, "ingredients", index), code, self.findings
                    )

    def _expand(
        self, document: Document, included: SetDraft, excluded: SetDraft
    ) -> None:
        """Add the products of the ingredients, and leave out those of other forms."""
        expansion = self.terms.expansion
        wanted = included.ingredients | excluded.ingredients
        if not wanted or not expansion.covered:
            return
        self._check_products(document, expansion)
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
        forms = [self.lexicon.form(word) for word in excluded.forms]
        held, ruled_out = meant(expansion, included.ingredients, forms)
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


def _partial(
    documents: Iterable[Document], parts: Iterable[ValueSet]
) -> frozenset[str]:
    """The systems that reach only some of the ingredients that a set names."""
    own = [each for each in documents if _names_ingredients(each)]
    reach = [_reaches(each) for each in own]
    reach += [_ATC in part.systems - part.partial for part in parts if part.names]
    return frozenset({_ATC}) if any(reach) and not all(reach) else frozenset()


def _names_ingredients(document: Document) -> bool:
    return any("ingredients" in entry for _, entry in entries(document, "include"))


def _reaches(document: Document) -> bool:
    """Check if a file that names ingredients says in which ATC classes they are."""
    return any(
        canonical_system(entry.get("system", "")) == _ATC
        or any("atc" in each for each in entry.get("ingredients", ()))
        for _, entry in entries(document, "include")
    )


def _classes(files: Iterable[Document]) -> dict[str, list[str]]:
    """The ATC codes of ingredients, by name, as far as any file says them."""
    found: dict[str, list[str]] = {}
    for document in files:
        for _, each in _ingredients(document):
            codes = (normalise_code(_ATC, code) for code in each.get("atc", ()))
            found.setdefault(each["name"].strip().lower(), []).extend(codes)
    return found


def _ingredients(document: Document) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for path, entry in entries(document, "include"):
        for index, each in enumerate(entry.get("ingredients", ())):
            yield (*path, "ingredients", index), each


def _check_reach(
    document: Document,
    valueset: ValueSet,
    classes: Mapping[str, Sequence[str]],
    findings: Findings,
) -> None:
    """Report that ATC reaches fewer medicines than a set names."""
    if _ATC not in valueset.systems:
        return
    help = "add its ATC class, here under `system: atc` or beside the name as `atc`"
    for path, each in _ingredients(document):
        name = each["name"].strip().lower()
        missed = [c for c in classes[name] if not valueset.holds(_ATC, c)]
        if missed:
            message = (
                f"{quote(each['name'])} is {missed[0]} in ATC, which the set does not"
                " have"
            )
            findings.warning(document, path, "CDS240", message, help)
    if _ATC in valueset.partial:
        named = [path for path, _ in _ingredients(document)]
        message = "the set has ATC codes, but not for all of its ingredients"
        where = named[0] if named and not _reaches(document) else ("include",)
        findings.warning(document, where, "CDS240", message, help, key=not named)


def _path_of(document: Document, ingredient: str) -> Path:
    """Return where a file, or none of them, names an ingredient."""
    for kind in ("include", "exclude"):
        for path, entry in entries(document, kind):
            for index, each in enumerate(entry.get("ingredients", ())):
                if each.get("code", "").strip() == ingredient:
                    return (*path, "ingredients", index, "code")
    return ("include",)
