"""What a value set is, and how one comes together from parts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ...fhir.code_systems import SYSTEMS, canonical_system, normalise_code
from ...units import NOTHING_SAID, Substance, scales
from ..values.text import format_number, format_quantity
from .expansions import KnownProducts
from .lexicon import DoseForm

Products = Mapping[str, Mapping[str, tuple[str, ...]]]
Codes = Mapping[str, frozenset[str]]
"""System URI to normalised codes."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What the results of a value set measure, and what can be believed of them."""

    unit: str = ""
    """UCUM; empty where the set says nothing."""
    plausible: tuple[float, float] | None = None
    """The lowest and the highest value that is used, in ``unit``."""
    substance: Substance = NOTHING_SAID

    def range_in(self, unit: str) -> tuple[float, float] | None:
        """The plausible values in another unit; None where the set names none."""
        if self.plausible is None or unit == self.unit:
            return self.plausible
        return _range_in(self, unit)

    def words(self) -> str:
        """``20 to 300 /min``; empty where the set names no plausible values."""
        if self.plausible is None:
            return ""
        low, high = self.plausible
        return f"{format_number(low)} to {format_quantity(high, self.unit)}"

    def said(self) -> tuple[str, ...]:
        """Everything that the set says of its results, each in a few words."""
        _, charge, unit = self.substance
        mass = format_number(self.substance.molar_mass)
        told = (
            (self.plausible, f"plausible {self.words()}"),
            (unit and not self.plausible, f"unit {unit}"),
            (self.substance.molar_mass, f"molar mass {mass} g/mol"),
            (charge, f"{charge} meq in a mmol"),
        )
        return tuple(words for holds, words in told if holds)


@lru_cache(maxsize=1024)
def _range_in(measure: Measure, unit: str) -> tuple[float, float] | None:
    found = scales(measure.unit, unit, measure.substance) if measure.plausible else ()
    if measure.plausible is None or not found:
        return None
    low, high = (found[0].of(bound) for bound in measure.plausible)
    return (low, high)


UNSAID = Measure()


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
    """Words for dose forms and routes in which a medicine is not meant."""
    forms: tuple[DoseForm, ...] = field(default=(), repr=False)
    """What those words mean."""
    excluded_names: tuple[str, ...] = ()
    """Lower-case names of ingredients that a medicine of the set does not hold."""
    excluded_words: tuple[str, ...] = ()
    """Words of a medicine's name that make it something else."""
    partial: frozenset[str] = frozenset()
    """The systems that reach only some of the ingredients: a code that the set does not
    list says nothing."""
    panels: frozenset[tuple[str, str]] = frozenset()
    """System and code of observations whose components may carry these codes."""
    words: tuple[str, ...] = ()
    """Lower-case words that name the problem, for a code that is only not listed."""
    ingredients: frozenset[str] = frozenset()
    """RxNorm codes of the ingredients, its own and those of the sets it includes."""
    uncoded: tuple[str, ...] = ()
    """Lower-case names of ingredients without a code, found by their names alone."""
    measure: Measure = UNSAID
    """Of results: what they measure, and which values are used."""
    called: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Each name of an ingredient to the one that it goes by, in lower case."""
    coded: Mapping[tuple[str, str], str] = field(
        default_factory=dict, repr=False, compare=False
    )
    """System and code of an ingredient to the name that it goes by."""
    products: Products = field(default_factory=dict, repr=False, compare=False)
    """Of the imported RxNorm: ingredient's code to the products that hold it."""
    known: KnownProducts = field(default=KnownProducts(), repr=False)
    """The expansion that all its ingredients are in, if they are: of these codes it is
    certain whether the set has them."""

    def ingredients_in(self, system: str, code: str) -> tuple[str, ...]:
        """Return the names of the set's ingredients that a normalised code says."""
        own = self.coded.get((system, code))
        if own is not None:
            return (own,)
        if system == _ATC:
            found = {
                n
                for (s, c), n in self.coded.items()
                if s == _ATC and code.startswith(c)
            }
            return tuple(sorted(found))
        if system != SYSTEMS["rxnorm"]:
            return ()
        found = {
            self.coded[system, each]
            for each in self.ingredients
            if (system, each) in self.coded and code in self.products.get(each, ())
        }
        return tuple(sorted(found))

    @property
    def systems(self) -> frozenset[str]:
        """The URIs of the systems that the set has codes or prefixes in."""
        return frozenset(self.codes) | frozenset(self.prefixes)

    def holds(self, system: str, code: str) -> bool:
        """Return whether a normalised code of a system (by URI) is in the set."""
        if code in self.excluded_codes.get(system, ()):
            return False
        if code.startswith(self.excluded_prefixes.get(system, _NOTHING)):
            return False
        return code in self.codes.get(system, ()) or code.startswith(
            self.prefixes.get(system, _NOTHING)
        )


_NOTHING: tuple[str, ...] = ()
_ATC = SYSTEMS["atc"]


@dataclass(slots=True)
class SetDraft:
    """A set under construction; exclusions win over inclusions."""

    codes: dict[str, set[str]] = field(default_factory=dict)
    prefixes: dict[str, set[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    panels: set[tuple[str, str]] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)
    ingredients: set[str] = field(default_factory=set)
    coded: set[str] = field(default_factory=set)
    """Names of the ingredients that have a code."""
    uncoded: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    name_words: set[str] = field(default_factory=set)
    """Words of medicines' names."""
    called: dict[str, str] = field(default_factory=dict)
    by_code: dict[tuple[str, str], str] = field(default_factory=dict)

    def read(self, entry: Mapping[str, Any]) -> None:
        """Take in what one entry of a file lists."""
        self.forms.update(form.lower() for form in entry.get("dose_forms", ()))
        self.name_words.update(word.strip().lower() for word in entry.get("words", ()))
        if "system" not in entry:
            return
        system = canonical_system(entry["system"])
        ingredients = entry.get("ingredients", ())
        numbers = [each["code"] for each in ingredients if "code" in each]
        codes = [*entry.get("codes", ()), *numbers]
        add(self.codes, system, (normalise_code(system, code) for code in codes))
        self.ingredients.update(number.strip() for number in numbers)
        under = (normalise_code(system, code) for code in entry.get("under", ()))
        add(self.prefixes, system, under)
        for each in ingredients:
            name, *others = names_of(each)
            self.names.update((name, *others))
            self.called.update(dict.fromkeys((name, *others), name))
            (self.coded if "code" in each else self.uncoded).add(name)
            classes = [normalise_code(_ATC, code) for code in each.get("atc", ())]
            add(self.prefixes, _ATC, classes)
            self.by_code.update(dict.fromkeys(((_ATC, code) for code in classes), name))
            if "code" in each:
                self.by_code[system, normalise_code(system, each["code"])] = name
        panels = (normalise_code(system, code) for code in entry.get("panels", ()))
        self.panels.update((system, code) for code in panels)

    def absorb(self, other: ValueSet) -> None:
        """Take in a whole value set, but for what it excludes."""
        for system, codes in other.codes.items():
            add(self.codes, system, codes)
        for system, prefixes in other.prefixes.items():
            add(self.prefixes, system, prefixes)
        self.names.update(other.names)
        self.panels.update(other.panels)
        self.ingredients.update(other.ingredients)
        self.uncoded.update(other.uncoded)
        self.words.update(other.words)
        self.called.update(other.called)
        self.by_code.update(other.coded)


def names_of(ingredient: Mapping[str, Any]) -> list[str]:
    """Return the names of an ingredient in lower case, the one it goes by first."""
    named = [ingredient["name"], *ingredient.get("also", ())]
    return [each.strip().lower() for each in named]


def add(to: dict[str, set[str]], system: str, codes: Iterable[str]) -> None:
    found = to.setdefault(system, set())
    found.update(codes)
    found.discard("")
    if not found:
        del to[system]


def inherit(excluded: SetDraft, part: ValueSet, parts: list[ValueSet]) -> None:
    """Exclude what *part* excludes, unless another part has it."""
    others = [each for each in parts if each is not part]
    for system, codes in part.excluded_codes.items():
        kept = codes.difference(*(o.codes.get(system, ()) for o in others))
        if any(system in o.prefixes for o in others):
            kept = frozenset(
                code for code in kept if not any(o.holds(system, code) for o in others)
            )
        add(excluded.codes, system, kept)
    for system, prefixes in part.excluded_prefixes.items():
        taken = tuple(p for o in others for p in o.prefixes.get(system, _NOTHING))
        left = (p for p in prefixes if not p.startswith(taken))
        add(excluded.prefixes, system, left)
    excluded.forms.update(part.excluded_forms)
    excluded.name_words.update(part.excluded_words)
    named = {name for other in others for name in other.names}
    excluded.names.update(set(part.excluded_names) - named)


def _beginning_otherwise(codes: set[str], prefixes: tuple[str, ...]) -> frozenset[str]:
    if not prefixes:
        return frozenset(codes)
    return frozenset(code for code in codes if not code.startswith(prefixes))


def freeze(
    name: str, data: Mapping[str, Any], included: SetDraft, excluded: SetDraft
) -> ValueSet:
    prefixes = {s: tuple(sorted(found)) for s, found in included.prefixes.items()}
    without = {s: tuple(sorted(found)) for s, found in excluded.prefixes.items()}
    codes = {
        system: _beginning_otherwise(
            found - excluded.codes.get(system, set()), without.get(system, _NOTHING)
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
        excluded_names=tuple(sorted(excluded.names)),
        excluded_words=tuple(sorted(excluded.name_words)),
        panels=frozenset(included.panels - excluded.panels),
        words=tuple(sorted(included.words)),
        ingredients=frozenset(included.ingredients - excluded.ingredients),
        uncoded=tuple(sorted(included.uncoded - included.coded - excluded.names)),
        called=dict(included.called),
        coded=dict(included.by_code),
        measure=_measure(data),
    )


def _measure(data: Mapping[str, Any]) -> Measure:
    """Return what a file says of the results that it names."""
    unit, plausible = data.get("unit", ""), data.get("plausible")
    return Measure(
        unit,
        (float(plausible[0]), float(plausible[1])) if plausible else None,
        Substance(data.get("molar_mass", 0.0), data.get("charge", 0), unit),
    )


def measure_of(own: Measure, parts: Iterable[ValueSet]) -> Measure:
    """Return what a set says of its results, or what all sets within it say."""
    said = {part.measure for part in parts}
    return said.pop() if own == UNSAID and len(said) == 1 else own
