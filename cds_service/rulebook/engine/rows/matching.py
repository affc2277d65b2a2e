"""Which facts a coded resource may belong to: the codes of all rules, turned round.

A code that no rule uses is not in the index, so a resource that no rule cares about
costs one look-up that fails.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from ....fhir.code_systems import HIERARCHIES, SYSTEMS, normalise_code
from ...terminology.expansions import KnownProducts
from ...terminology.folding import LONGEST_NAME, Phrase, fold, phrase_of, words_of
from ...terminology.lexicon import DoseForm, Lexicon, Mention
from ...terminology.valuesets import ValueSet
from .coded import Coded, Stated

RXNORM, ATC = SYSTEMS["rxnorm"], SYSTEMS["atc"]


class Hit(NamedTuple):
    """That a resource belongs to a selector, and by what."""

    code: str
    """``system|code``; empty if by name."""
    text: str = ""
    """The text that names it; empty if by code."""

    @property
    def by_name(self) -> bool:
        """Whether no code tells it."""
        return not self.code


class Placing(NamedTuple):
    """Where a resource belongs, as far as its codes and names tell."""

    hits: Mapping[int, Hit]
    """By slot."""
    known: bool
    """Whether any value set knows what it is."""
    meant: Mapping[int, str]
    """By slot that has no hit: words for what may be meant, and may not."""


_NOWHERE, _KNOWN = Placing({}, False, {}), Placing({}, True, {})
Named = tuple[Mention, str, tuple[int, ...]]
"""What a text says of an ingredient in it, its name, and the slots that want it."""


class _SystemIndex:
    """Codes and beginnings of codes of one system, to slots."""

    def __init__(self, system: str, release: KnownProducts) -> None:
        self._system = system
        self._is_flat = system not in HIERARCHIES
        """Whether it matters only which codes are listed, as they are written."""
        self._release = release if system == RXNORM else KnownProducts()
        self._codes: dict[str, tuple[int, ...]] = {}
        self._prefixes: dict[int, dict[str, list[int]]] = {}
        """By length."""
        self._broader: dict[str, set[int]] = {}
        """Codes of which only a part is in a set."""
        # Most codes come again: in this patient's record, and in the next one's.
        self._kept = lru_cache(maxsize=4096)(self._place)

    def add(self, valueset: ValueSet, slots: tuple[int, ...]) -> None:
        """Take in what a value set, which *slots* want, has in the system."""
        codes = valueset.codes.get(self._system, frozenset())
        self._add_codes(codes if slots else codes - self._release.codes, slots)
        for prefix in valueset.prefixes.get(self._system, ()):
            starts = self._prefixes.setdefault(len(prefix), {})
            starts.setdefault(prefix, []).extend(slots)
        if not self._is_flat:
            for code in _parents(valueset, self._system):
                self._broader.setdefault(code, set()).update(slots)

    def _add_codes(self, codes: frozenset[str], slots: tuple[int, ...]) -> None:
        """Put codes under slots; thousands of products share one tuple of them."""
        held = self._codes
        again = codes & held.keys()
        held.update(dict.fromkeys(codes - again, slots))
        joined: dict[tuple[int, ...], tuple[int, ...]] = {}
        for code in again:
            before = held[code]
            if before not in joined:
                joined[before] = before + slots
            held[code] = joined[before]

    def place(self, written: str, display: str) -> Placing:
        """Return where a code belongs, which the record calls *display*."""
        if self._is_flat and written not in self._codes:
            return _KNOWN if self._is_known(written) else _NOWHERE
        short = len(written) <= _LONGEST
        placing, parts = (self._kept if short else self._place)(written)
        if parts:
            meant = dict.fromkeys(parts, display or written)
            return Placing(placing.hits, placing.known, meant)
        return placing

    def _place(self, written: str) -> tuple[Placing, Sequence[int]]:
        """Return where a code belongs, and the slots that mean a part of it."""
        code = normalise_code(self._system, written)
        exact = self._codes.get(code)
        found: list[Sequence[int]] = [] if exact is None else [exact]
        for length, prefixes in self._prefixes.items():
            begun = prefixes.get(code[:length])
            if begun is not None:
                found.append(begun)
        hit = Hit(f"{self._system}|{written}")
        hits = dict.fromkeys((slot for slots in found for slot in slots), hit)
        known = bool(found) and written not in self._release.mixed
        known = known or self._is_known(written)
        parts = self._broader.get(code, set()) - hits.keys()
        return Placing(hits, known, {}), tuple(parts)

    def _is_known(self, written: str) -> bool:
        """Return whether the release tells all that a product holds."""
        release = self._release
        return written in release.codes and written not in release.mixed


_LONGEST = 40
"""Characters; no code is longer, and what is longer is not kept."""


def _joined(placings: Sequence[Placing]) -> Placing:
    """Return what several codes of one resource tell; the first to match counts."""
    if not placings:
        return _NOWHERE
    hits = {k: hit for each in reversed(placings) for k, hit in each.hits.items()}
    meant = {slot: text for each in placings for slot, text in each.meant.items()}
    known = any(each.known for each in placings)
    return Placing(hits, known, _without(meant, hits))


_T = TypeVar("_T")


def _kept(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """Return *read*, which keeps what it has read in texts that may be names."""
    known = lru_cache(maxsize=2048)(read)
    return lambda text: (known if len(text) <= LONGEST_NAME else read)(text)


def _without(by_slot: Mapping[int, _T], slots: Container[int]) -> Mapping[int, _T]:
    return {slot: each for slot, each in by_slot.items() if slot not in slots}


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
        self._names: dict[str, list[tuple[Phrase, tuple[int, ...]]]] = {}
        self._settled = {
            slot: _settled_by(valuesets[name]) for slot, name in slots.items()
        }
        self._sets = {slot: valuesets[name] for slot, name in slots.items()}
        self._known = {slot: valuesets[name].known for slot, name in slots.items()}
        release = next(
            (each.known for each in valuesets.values() if each.known.codes),
            KnownProducts(),
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
        self._called = {
            " ".join(words_of(name)): first
            for each in valuesets.values()
            for name, first in each.called.items()
        }
        self._systems = {
            system: _SystemIndex(system, release)
            for system in {RXNORM}.union(*(each.systems for each in valuesets.values()))
        }
        by_set: dict[str, list[int]] = {name: [] for name in valuesets}
        for slot, name in slots.items():
            by_set[name].append(slot)
        for name, valueset in valuesets.items():
            self._add(valueset, tuple(by_set[name]))
        # As most codes, most names come again.
        self._named = _kept(self._read_name)
        self._worded = _kept(self._read_words)

    def _add(self, valueset: ValueSet, slots: tuple[int, ...]) -> None:
        for system in valueset.systems:
            self._systems[system].add(valueset, slots)
        for name in valueset.names:
            words = words_of(name)
            if words:
                self._names.setdefault(words[0], []).append((Phrase(words), slots))

    def find(self, coded: Coded) -> Placing:
        """Return where a resource belongs.

        A code decides first, exact or by its beginning. A medicine's name decides as
        well, unless its code is of a release that tells all that the product holds.
        """
        placings = [
            self._systems[system].place(code, display)
            for system, code, display in coded.codings
            if system in self._systems
        ]
        placing = placings[0] if len(placings) == 1 else _joined(placings)
        if self._names and coded.names:
            placing = self._with_names(coded, placing)
        if self._excluding and (placing.hits or placing.meant):
            placing = self._without_excluded(coded, placing)
        return placing

    def _with_names(self, coded: Coded, placing: Placing) -> Placing:
        """Return what codes tell, and what names add to it."""
        hits, known, meant = dict(placing.hits), placing.known, dict(placing.meant)
        for text in coded.names:
            for mention, _, slots in self._named(text):
                known = known or mention in (Mention.MEANT, Mention.OTHER_THING)
                for slot in slots:
                    if slot in hits or mention < Mention.DOUBTFUL:
                        continue
                    if self._knows_all(slot, coded):
                        continue
                    if mention is Mention.MEANT:
                        hits[slot] = Hit("", text)
                        meant.pop(slot, None)
                    elif not (placing.known or self._settles(slot, coded)):
                        meant[slot] = text
        return Placing(hits, known, meant)

    def _without_excluded(self, coded: Coded, placing: Placing) -> Placing:
        hits, known, meant = placing
        out = {slot for slot in (*hits, *meant) if self._is_excluded(slot, coded)}
        if not out:
            return placing
        return Placing(_without(hits, out), known, _without(meant, out))

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

    def _read_name(self, text: str) -> tuple[Named, ...]:
        """Return what a text names, and whether it means it."""
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
        """Check if a release tells all that a set could ask of a product."""
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
        self._says_word = _kept(self._find_word)
        self._says_partner = _kept(self._find_partner)
        self._says_form = _kept(self._find_form)
        self._says_form_in_rxnorm = _kept(self._find_form_in_rxnorm)

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
        if self._words and any(map(self._says_word, coded.names)):
            return True
        return not sure and (self._has_partner(coded) or self._is_of_form(coded))

    def _has_partner(self, coded: Coded) -> bool:
        """Return whether the product also holds an ingredient that rules it out."""
        return bool(self._partners) and any(map(self._says_partner, coded.names))

    def _is_of_form(self, coded: Coded) -> bool:
        """Return whether it is given in a form that rules it out.

        A route outranks a dose form, and both outrank the words of a name.
        """
        if not self._set.forms:
            return False
        shape = coded.shape()
        for stated in (shape.routes, shape.forms):
            verdicts = {self._rules_out(each) for each in stated} - {None}
            if verdicts:
                return False not in verdicts
        called = {display for system, _, display in coded.codings if system == RXNORM}
        return any(
            self._says_form_in_rxnorm(text) if text in called else self._says_form(text)
            for text in coded.names
        )

    def _find_word(self, text: str) -> bool:
        return any(True for _ in _found(self._words, text))

    def _find_partner(self, text: str) -> bool:
        return any(
            self._lexicon.says(text, place) is Mention.MEANT
            for place in _found(self._partners, text)
        )

    def _find_form(self, text: str) -> bool:
        words = words_of(text)
        return any(form.is_said(words) for form in self._set.forms)

    def _find_form_in_rxnorm(self, text: str) -> bool:
        """Return whether a name says a form where RxNorm does: after the strength."""
        *_, last = [None, *_STRENGTH.finditer(fold(text))]
        return self._find_form(text if last is None else fold(text)[last.end() :])

    def _rules_out(self, stated: Stated) -> bool | None:
        """Check if what is stated is ruled out; None if no known form is stated."""
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
    """Yield where phrases stand among the words of a text."""
    words = words_of(text)
    for phrase in phrases:
        for place in phrase.places_in(words):
            yield range(place, place + len(phrase.words))


_STRENGTH = re.compile(r"\d[\d.,]*\s*(mg|mcg|ug|g|gm|ml|l|unt|meq|mmol|iu|%)(?![a-z])")


def _parents(valueset: ValueSet, system: str) -> set[str]:
    """Codes that are broader than one of the set's, and not in it."""
    shortest = 1 if system == ATC else _CATEGORY
    codes = {*valueset.codes.get(system, ()), *valueset.prefixes.get(system, ())}
    broader = {code[:end] for code in codes for end in range(shortest, len(code))}
    return {code for code in broader if not valueset.holds(system, code)}


_CATEGORY = 3
"""Characters of the shortest code of ICD-10-CM."""


def _has_form(code: str, known: KnownProducts) -> bool:
    """Check if a code itself says its dose form, so that no words need to."""
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
