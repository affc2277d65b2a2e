"""Which facts a coded resource may belong to: the codes of all rules, turned round.

A code that no rule uses is not in the index, so a resource that no rule cares about
costs one look-up that fails.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ....fhir.code_systems import HIERARCHIES, SYSTEMS, normalise_code
from ...terminology.expansions import Known
from ...terminology.folding import Phrase, fold, phrase_of, words_of
from ...terminology.lexicon import DoseForm, Lexicon, Mention
from ...terminology.valuesets import ValueSet
from .readings import Lack

RXNORM, ATC = SYSTEMS["rxnorm"], SYSTEMS["atc"]


@dataclass(frozen=True, slots=True)
class Selector:
    """What a fact takes from the chart; rules that ask for the same share it."""

    kind: str
    valueset: str = ""
    types: tuple[str, ...] = ()
    """For wearable alerts."""
    status: str = ""
    confirmed: bool = False
    categories: tuple[str, ...] = ()
    """For conditions; empty for all."""
    origin: str = "chart"
    """``chart`` or ``draft_orders``."""


class Hit(NamedTuple):
    """That a resource belongs to a selector, and by what."""

    code: str
    """``system|code``; empty if by name."""
    name: str
    """What the coding, or the text, that matched calls it."""
    by_name: bool


class Placing(NamedTuple):
    """Where a resource belongs, as far as its codes and names tell."""

    hits: dict[int, Hit]
    """By slot."""
    known: bool
    """Whether any value set knows what it is."""
    meant: dict[int, str]
    """By slot: words for what may be meant, and may not."""


class Stated(NamedTuple):
    """One CodeableConcept that says in which form or by which route."""

    texts: Sequence[str]
    codings: Sequence[tuple[str, str, str]]


class Shape(NamedTuple):
    """How a medicine is given, as far as the record states it."""

    routes: Sequence[Stated] = ()
    forms: Sequence[Stated] = ()


@dataclass(slots=True)
class Coded:
    """What is needed of a resource to find its facts."""

    codings: list[tuple[str, str, str]]
    """Canonical system, code and display."""
    names: Sequence[str] = ()
    """Texts that may name an ingredient; medicines only."""
    read_shape: Callable[[], Shape] = Shape
    """Dose form and route, read only if a set excludes some."""
    lack: Lack | None = None
    """Why its codes are not known; None where they are, or words stand for them."""


Named = tuple[Mention, str, tuple[int, ...]]
"""What a text says of an ingredient in it, its name, and the slots that want it."""


class CodeIndex:
    """Codes, prefixes and ingredient names of one kind of fact, to slots."""

    def __init__(
        self,
        slots: Mapping[int, str],
        valuesets: Mapping[str, ValueSet],
        lexicon: Lexicon = Lexicon(),
    ) -> None:
        """*slots* are the numbers of the selectors, each with its value set's name."""
        self._lexicon = lexicon
        self._codes: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
        self._prefixes: dict[str, dict[int, dict[str, list[int]]]] = {}
        self._broader: dict[str, dict[str, set[int]]] = {}
        """By system: codes of which only a part is in a set."""
        self._names: dict[str, list[tuple[Phrase, tuple[int, ...]]]] = {}
        self._settled = {
            slot: _settled_by(valuesets[name]) for slot, name in slots.items()
        }
        self._sets = {slot: valuesets[name] for slot, name in slots.items()}
        self._known = {slot: valuesets[name].known for slot, name in slots.items()}
        self._release = next(
            (each.known for each in valuesets.values() if each.known.codes), Known()
        )
        self._excluding = {
            slot: _Exclusion(valuesets[name], lexicon)
            for slot, name in slots.items()
            if _excludes(valuesets[name])
        }
        self._words = [
            (phrase_of(word), slot)
            for slot, name in slots.items()
            for word in valuesets[name].words
        ]
        by_set: dict[str, list[int]] = {name: [] for name in valuesets}
        for slot, name in slots.items():
            by_set[name].append(slot)
        for name, valueset in valuesets.items():
            self._add(valueset, tuple(by_set[name]))
        self._called = {
            " ".join(words_of(name)): first
            for each in valuesets.values()
            for name, first in each.called.items()
        }
        # Most texts come again: of this patient's record, and of the next one's.
        self._named = lru_cache(maxsize=2048)(self._read_name)
        self._worded = lru_cache(maxsize=2048)(self._read_words)

    def _add(self, valueset: ValueSet, slots: tuple[int, ...]) -> None:
        for system, codes in valueset.codes.items():
            if not slots and system == RXNORM:
                codes = codes - self._release.codes
            self._add_codes(self._codes[system], codes, slots)
        for system, prefixes in valueset.prefixes.items():
            by_length = self._prefixes.setdefault(system, {})
            for prefix in prefixes:
                starts = by_length.setdefault(len(prefix), {})
                starts.setdefault(prefix, []).extend(slots)
        for system in HIERARCHIES & valueset.systems:
            broader = self._broader.setdefault(system, {})
            for code in _parents(valueset, system):
                broader.setdefault(code, set()).update(slots)
        for name in valueset.names:
            words = words_of(name)
            if words:
                self._names.setdefault(words[0], []).append((Phrase(words), slots))

    @staticmethod
    def _add_codes(
        held: dict[str, tuple[int, ...]], codes: frozenset[str], slots: tuple[int, ...]
    ) -> None:
        """File codes under slots; thousands of products share one tuple of them."""
        again = codes & held.keys()
        held.update(dict.fromkeys(codes - again, slots))
        joined: dict[tuple[int, ...], tuple[int, ...]] = {}
        for code in again:
            before = held[code]
            if before not in joined:
                joined[before] = before + slots
            held[code] = joined[before]

    def find(self, coded: Coded) -> Placing:
        """Return where a resource belongs.

        A code decides first, exact or by its beginning. A medicine's name decides as
        well, unless its code is of a release that tells all that the product holds.
        """
        hits: dict[int, Hit] = {}
        meant: dict[int, str] = {}
        known = False
        for coding in coded.codings:
            known = known or self._holds_nothing_else(coding)
            for slots in self._slots_of(coding):
                known = known or coding[1].strip() not in self._release.mixed
                hit = Hit(f"{coding[0]}|{coding[1]}", coding[2], False)
                for slot in slots:
                    hits.setdefault(slot, hit)
            if coding[0] in self._broader:
                self._find_broader(coding, meant)
        if self._names and coded.names:
            known = self._find_named(coded, known, hits, meant)
        if self._excluding:
            for slot in [s for s in (*hits, *meant) if self._is_excluded(s, coded)]:
                hits.pop(slot, None)
                meant.pop(slot, None)
        if meant:
            meant = {slot: text for slot, text in meant.items() if slot not in hits}
        return Placing(hits, known, meant)

    def _find_broader(
        self, coding: tuple[str, str, str], meant: dict[int, str]
    ) -> None:
        """Note the sets that hold only a part of what a code says."""
        system, written, display = coding
        slots = self._broader[system].get(normalise_code(system, written), ())
        meant.update(dict.fromkeys(slots, display or written))

    def _find_named(
        self, coded: Coded, known: bool, hits: dict[int, Hit], meant: dict[int, str]
    ) -> bool:
        """Add what names say; gives whether the medicine is known then."""
        coded_known = known
        for text in coded.names:
            for mention, _, slots in self._named(text):
                known = known or mention in (Mention.MEANT, Mention.OTHER_THING)
                for slot in slots:
                    if slot in hits or mention < Mention.DOUBTFUL:
                        continue
                    if self._knows_all(slot, coded):
                        continue
                    if mention is Mention.MEANT:
                        hits[slot] = Hit("", text, True)
                    elif not (coded_known or self._settles(slot, coded)):
                        meant[slot] = text
        return known

    def worded(self, texts: Sequence[str]) -> set[int]:
        """Return the slots whose words for a problem stand in *texts*."""
        return {slot for text in texts for slot in self._worded(text)}

    def _read_words(self, text: str) -> frozenset[int]:
        words = words_of(text)
        return frozenset(
            slot
            for phrase, slot in self._words
            for place in phrase.places_in(words)
            if self._lexicon.says(text, range(place, place + len(phrase.words)))
            >= Mention.DOUBTFUL
        )

    def _holds_nothing_else(self, coding: tuple[str, str, str]) -> bool:
        """Whether all that a product holds is known, in whichever sets that is."""
        system, code, _ = coding
        known = self._release
        return system == RXNORM and code in known.codes and code not in known.mixed

    def _slots_of(self, coding: tuple[str, str, str]) -> list[Sequence[int]]:
        """The slots of each value set that knows the code, or a code's beginning."""
        system, written, _ = coding
        code = normalise_code(system, written)
        found: list[Sequence[int]] = []
        exact = self._codes[system].get(code) if system in self._codes else None
        if exact is not None:
            found.append(exact)
        if system in self._prefixes:
            for length, prefixes in self._prefixes[system].items():
                begun = prefixes.get(code[:length])
                if begun is not None:
                    found.append(begun)
        return found

    def _read_name(self, text: str) -> tuple[Named, ...]:
        """What a text names, and whether it means it."""
        words = words_of(text)
        found = [
            (range(index, index + len(phrase.words)), slots)
            for index, word in enumerate(words)
            for phrase, slots in self._names.get(word, ())
            if phrase.begins_at(index, words)
        ]
        if not found and self._lexicon.is_no_medicine(text):
            return ((Mention.OTHER_THING, "", ()),)
        starts = [name.start for name, _ in found]
        return tuple(
            (
                self._lexicon.says(
                    text, name, min((s for s in starts if s >= name.stop), default=None)
                ),
                " ".join(words[name.start : name.stop]),
                slots,
            )
            for name, slots in found
        )

    def ingredients(self, names: Iterable[str]) -> frozenset[str]:
        """Return the ingredients of any value set that the names name, and mean.

        Each by one name: salbutamol, albuterol and a brand of it are one ingredient.
        """
        return frozenset(
            self._called.get(name, name)
            for text in names
            for mention, name, _ in self._named(text)
            if mention is Mention.MEANT
        )

    def goes_by(self, slot: int, code: str, text: str) -> tuple[str, ...]:
        """Return the ingredients of a slot's set that a row is of, by the set's names.

        Args:
            code: ``system|code`` that matched; empty where a name did.
            text: What the record calls it.
        """
        system, _, written = code.partition("|")
        held = self._sets[slot]
        found = held.ingredients_in(system, normalise_code(system, written))
        if found:
            return found
        named = (
            self._called.get(name, name)
            for mention, name, slots in self._named(text)
            if mention is Mention.MEANT and slot in slots
        )
        only = set(held.called.values())
        return tuple(dict.fromkeys(named)) or (tuple(only) if len(only) == 1 else ())

    def _is_excluded(self, slot: int, coded: Coded) -> bool:
        exclusion = self._excluding.get(slot)
        return exclusion is not None and exclusion.holds(coded)

    def _knows_all(self, slot: int, coded: Coded) -> bool:
        """Whether a release tells of a code all that a set could ask of the product."""
        known = self._known[slot].codes
        return any(
            system == RXNORM and code in known for system, code, _ in coded.codings
        )

    def _settles(self, slot: int, coded: Coded) -> bool:
        settled = self._settled[slot]
        return any(system in settled for system, _, _ in coded.codings)

    def settled(self, slot: int) -> frozenset[str]:
        """The systems whose codes settle membership.

        A product code of RxNorm settles nothing for a set of ingredients, nor does a
        system that reaches only some of them.
        """
        return self._settled[slot]


class _Exclusion:
    """What a value set rules out although its codes or names match."""

    def __init__(self, valueset: ValueSet, lexicon: Lexicon) -> None:
        self._set = valueset
        self._lexicon = lexicon
        self._partners = tuple(map(phrase_of, valueset.excluded_names))
        self._words = tuple(map(phrase_of, valueset.excluded_words))
        self._atc = tuple(code for form in valueset.forms for code in form.atc)

    def holds(self, coded: Coded) -> bool:
        sure = False
        for system, written, _ in coded.codings:
            code = normalise_code(system, written)
            sure = sure or (system == RXNORM and _has_form(code, self._set.known))
            if code in self._set.excluded_codes.get(system, ()) or code.startswith(
                self._set.excluded_prefixes.get(system, ())
            ):
                return True
            if system == ATC and code.startswith(self._atc):
                return True
        if any(True for text in coded.names for _ in _found(self._words, text)):
            return True
        return not sure and (self._has_partner(coded) or self._is_of_form(coded))

    def _has_partner(self, coded: Coded) -> bool:
        """Whether the product also holds an ingredient that rules it out."""
        return any(
            self._lexicon.says(text, place) is Mention.MEANT
            for text in coded.names
            for place in _found(self._partners, text)
        )

    def _is_of_form(self, coded: Coded) -> bool:
        """Whether it is given in a form that rules it out.

        A route outranks a dose form, and both outrank the words of a name.
        """
        if not self._set.forms:
            return False
        shape = coded.read_shape()
        for stated in (shape.routes, shape.forms):
            verdicts = {self._judge(each) for each in stated} - {None}
            if verdicts:
                return False not in verdicts
        called = {display for system, _, display in coded.codings if system == RXNORM}
        said = [_form_words(text, text in called) for text in coded.names]
        return any(form.is_said(words) for form in self._set.forms for words in said)

    def _judge(self, stated: Stated) -> bool | None:
        """Whether what is stated is ruled out; None if no known form is stated."""
        if _states(self._set.forms, stated):
            return True
        return False if _states(self._lexicon.forms.values(), stated) else None


def _states(forms: Iterable[DoseForm], stated: Stated) -> bool:
    codes = {(system, code) for system, code, _ in stated.codings}
    said = [words_of(text) for text in stated.texts]
    return any(
        not form.codes.isdisjoint(codes) or any(map(form.is_said, said))
        for form in forms
    )


def _found(phrases: Iterable[Phrase], text: str) -> Iterator[range]:
    """Where phrases stand among the words of a text."""
    words = words_of(text)
    for phrase in phrases:
        for place in phrase.places_in(words):
            yield range(place, place + len(phrase.words))


def _form_words(text: str, is_of_rxnorm: bool) -> Sequence[str]:
    """The words of a name that may say a form: in RxNorm's those after the strength."""
    if is_of_rxnorm:
        *_, last = [None, *_STRENGTH.finditer(fold(text))]
        if last is not None:
            return words_of(fold(text)[last.end() :])
    return words_of(text)


_STRENGTH = re.compile(r"\d[\d.,]*\s*(mg|mcg|ug|g|gm|ml|l|unt|meq|mmol|iu|%)(?![a-z])")


def _parents(valueset: ValueSet, system: str) -> set[str]:
    """Codes that are broader than one of the set's, and not in it."""
    shortest = 1 if system == ATC else _CATEGORY
    codes = {*valueset.codes.get(system, ()), *valueset.prefixes.get(system, ())}
    broader = {code[:end] for code in codes for end in range(shortest, len(code))}
    return {code for code in broader if not valueset.holds(system, code)}


_CATEGORY = 3
"""Characters of the shortest code of ICD-10-CM."""


def _has_form(code: str, known: Known) -> bool:
    """Whether a code says itself in which dose form it is, so that no words need to."""
    return code in known.codes and code not in known.formless


def _settled_by(valueset: ValueSet) -> frozenset[str]:
    named = {RXNORM} if valueset.names else frozenset[str]()
    return valueset.systems - named - valueset.partial


def _excludes(valueset: ValueSet) -> bool:
    return bool(
        valueset.excluded_codes
        or valueset.excluded_prefixes
        or valueset.excluded_forms
        or valueset.excluded_names
        or valueset.excluded_words
    )
