"""Value sets: the codes, prefixes and ingredient names that a rule means by a name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .document import Document, Path
from .findings import Findings, quote, suggest
from .terminology import SYSTEMS, canonical_system, normalise_code
from .valueset_checks import by_name, check_valueset, entries, overlay_of

__all__ = [
    "SYSTEMS",
    "ValueSet",
    "build_valuesets",
    "canonical_system",
    "normalise_code",
    "overlay_names",
]

Codes = Mapping[str, frozenset[str]]
"""System URI to normalised codes."""


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A named set of codes, ready to be matched."""

    name: str
    title: str = ""
    version: str = ""
    codes: Codes = field(default_factory=dict)
    """Exact codes; what is excluded is not among them."""
    prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """System URI to what a code of the set begins with."""
    names: tuple[str, ...] = ()
    """Lower-case ingredient names, for a medication that no code resolves."""
    excluded_codes: Codes = field(default_factory=dict)
    excluded_prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded_forms: tuple[str, ...] = ()
    """Lower-case words, such as a dose form, that rule out a match by name."""
    panels: frozenset[tuple[str, str]] = frozenset()
    """System and code of observations whose components may carry these codes."""

    @property
    def systems(self) -> frozenset[str]:
        """The URIs of the systems that the set has codes or prefixes in."""
        return frozenset(self.codes) | frozenset(self.prefixes)

    def holds(self, system: str, code: str) -> bool:
        """Whether a normalised code of a system (by URI) is in the set."""
        if code in self.excluded_codes.get(system, ()):
            return False
        if code.startswith(self.excluded_prefixes.get(system, _NOTHING)):
            return False
        return code in self.codes.get(system, ()) or code.startswith(
            self.prefixes.get(system, _NOTHING)
        )


_NOTHING: tuple[str, ...] = ()
_DEPTH_LIMIT = 20


def overlay_names(documents: Iterable[Document]) -> frozenset[str]:
    """The overlays that the value-set files offer: folders with ``extends`` files."""
    return frozenset(overlay_of(each) for each in documents if "extends" in each.data)


def build_valuesets(
    documents: Iterable[Document], overlays: Collection[str], findings: Findings
) -> Mapping[str, ValueSet]:
    """Every value set by name, from documents whose shape has been checked.

    Files of an overlay folder count only if *overlays* names the folder; their codes
    are checked all the same. A set with errors is still given, as far as it goes.
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
    )
    return {name: builder.build(name) for name in builder.named}


@dataclass(slots=True)
class _Draft:
    """A set under construction; exclusions win over inclusions."""

    codes: dict[str, set[str]] = field(default_factory=dict)
    prefixes: dict[str, set[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    panels: set[tuple[str, str]] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)

    def read(self, entry: Mapping[str, Any]) -> None:
        """Take in what one entry of a file lists."""
        self.forms.update(form.lower() for form in entry.get("dose_forms", ()))
        if "system" not in entry:
            return
        system = canonical_system(entry["system"])
        ingredients = entry.get("ingredients", ())
        codes = [*entry.get("codes", ()), *(each["code"] for each in ingredients)]
        _add(self.codes, system, (normalise_code(system, code) for code in codes))
        under = (normalise_code(system, code) for code in entry.get("under", ()))
        _add(self.prefixes, system, under)
        self.names.update(each["name"].strip().lower() for each in ingredients)
        panels = (normalise_code(system, code) for code in entry.get("panels", ()))
        self.panels.update((system, code) for code in panels)

    def absorb(self, other: ValueSet) -> None:
        """Take in a whole value set, but for what it excludes."""
        for system, codes in other.codes.items():
            _add(self.codes, system, codes)
        for system, prefixes in other.prefixes.items():
            _add(self.prefixes, system, prefixes)
        self.names.update(other.names)
        self.panels.update(other.panels)


def _add(to: dict[str, set[str]], system: str, codes: Iterable[str]) -> None:
    found = {code for code in codes if code}
    if found:
        to.setdefault(system, set()).update(found)


@dataclass(slots=True)
class _Builder:
    """Resolves sets that are made of other sets."""

    named: Mapping[str, Document]
    extensions: list[Document]
    findings: Findings
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
        included, excluded, parts = _Draft(), _Draft(), list[ValueSet]()
        for each in [document, *extensions]:
            for path, entry in entries(each, "include"):
                included.read(entry)
                parts += self._referred(each, path, entry)
            for path, entry in entries(each, "exclude"):
                excluded.read(entry)
                for other in self._referred(each, path, entry):
                    excluded.absorb(other)
        own = _freeze("", {}, included, excluded)
        for part in parts:
            included.absorb(part)
            _inherit(excluded, part, [own, *parts])
        result = _freeze(name, document.data, included, excluded)
        if not (result.codes or result.prefixes or result.names):
            message = f"the value set {quote(name)} holds nothing"
            self.findings.error(document, ("include",), "CDS212", message, key=True)
        return result

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
            self.findings.error(document, path, "CDS204", message)
            return []
        if len(self.under_way) > _DEPTH_LIMIT:
            message = f"more than {_DEPTH_LIMIT} value sets include each other in a row"
            self.findings.error(document, path, "CDS204", message)
            return []
        if name not in self.named:
            message = f"value set {quote(name)} does not exist"
            help = suggest(name, self.named)
            self.findings.error(document, path, "CDS202", message, help)
            return []
        return [self.build(name)]


def _inherit(excluded: _Draft, part: ValueSet, parts: list[ValueSet]) -> None:
    """Exclude what *part* excludes, unless another part has it."""
    others = [each for each in parts if each is not part]
    for system, codes in part.excluded_codes.items():
        kept = (c for c in codes if not any(o.holds(system, c) for o in others))
        _add(excluded.codes, system, kept)
    for system, prefixes in part.excluded_prefixes.items():
        taken = tuple(p for o in others for p in o.prefixes.get(system, _NOTHING))
        kept = (p for p in prefixes if not p.startswith(taken))
        _add(excluded.prefixes, system, kept)
    excluded.forms.update(part.excluded_forms)


def _freeze(
    name: str, data: Mapping[str, Any], included: _Draft, excluded: _Draft
) -> ValueSet:
    prefixes = {s: tuple(sorted(found)) for s, found in included.prefixes.items()}
    without = {s: tuple(sorted(found)) for s, found in excluded.prefixes.items()}
    codes = {
        system: frozenset(
            code
            for code in found - excluded.codes.get(system, set())
            if not code.startswith(without.get(system, _NOTHING))
        )
        for system, found in included.codes.items()
    }
    return ValueSet(
        name=name,
        title=data.get("title", ""),
        version=data.get("version", ""),
        codes={system: found for system, found in codes.items() if found},
        prefixes=prefixes,
        names=tuple(sorted(included.names - excluded.names)),
        excluded_codes={s: frozenset(found) for s, found in excluded.codes.items()},
        excluded_prefixes=without,
        excluded_forms=tuple(sorted(excluded.forms)),
        panels=frozenset(included.panels - excluded.panels),
    )
