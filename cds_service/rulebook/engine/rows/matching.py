"""Which facts a coded resource may belong to: the codes of all rules, turned round.

A code that no rule uses is not in the index, so a resource that no rule cares about
costs one look-up that fails.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from ....fhir.code_systems import HIERARCHIES, normalise_code
from ...terminology.expansions import KnownProducts
from ...terminology.folding import Phrase, phrase_of, words_of
from ...terminology.lexicon import Lexicon, Mention
from ...terminology.valuesets import ValueSet
from .coded import Coded
from .exclusions import ATC, RXNORM, Exclusion, excludes, kept


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


_NOT_THERE = Mention.OTHER_THING
MOST_NAMES = 100
"""What names more is no name: each of them may be meant or not."""
_T = TypeVar("_T")


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
            slot: Exclusion(valuesets[name], lexicon)
            for slot, name in slots.items()
            if excludes(valuesets[name])
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
        self.panels: dict[tuple[str, str], list[int]] = {}
        """Slots by system and code of observations that may have them as a part."""
        for slot, name in slots.items():
            for panel in valuesets[name].panels:
                self.panels.setdefault(panel, []).append(slot)
        by_set: dict[str, list[int]] = {name: [] for name in valuesets}
        for slot, name in slots.items():
            by_set[name].append(slot)
        for name, valueset in valuesets.items():
            self._add(valueset, tuple(by_set[name]))
        # As most codes, most names come again.
        self._named = kept(self._read_name)
        self._worded = kept(self._read_words)
        self._denied = kept(self._read_denied)

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
        # A sentence to the patient settles nothing: "keep an eye on the pulse".
        unsure = {
            slot: hit.text or coded.display_of(hit.code) or next(iter(coded.names), "")
            for slot, hit in hits.items()
            if slot not in out and self._is_dosed_otherwise(slot, coded)
        }
        if not (out or unsure):
            return placing
        hits = _without(_without(hits, out), unsure)
        return Placing(hits, known, {**_without(meant, out), **unsure})

    def worded(self, texts: Sequence[str]) -> set[int]:
        """Return the slots whose words for a problem stand in *texts*."""
        return {slot for text in texts for slot in self._worded(text)}

    def denied(self, texts: Sequence[str]) -> set[int]:
        """Return the slots whose problem one of *texts* names only to deny it."""
        return {slot for text in texts for slot in self._denied(text)}

    def _read_words(self, text: str) -> frozenset[int]:
        found = self._words_in(text)
        if len(found) > MOST_NAMES:
            return frozenset(slot for _, slot in found)
        said = self._said(text, found)
        return frozenset(s for s, mention in said.items() if mention > _NOT_THERE)

    def _read_denied(self, text: str) -> frozenset[int]:
        found = self._words_in(text)
        said = self._said(text, found if len(found) <= MOST_NAMES else ())
        return frozenset(s for s, mention in said.items() if mention is Mention.DENIED)

    def _words_in(self, text: str) -> Sequence[tuple[range, int]]:
        words = words_of(text)
        return [
            (range(place, place + len(phrase.words)), slot)
            for phrase, slot in self._words
            for place in phrase.places_in(words)
        ]

    def _said(
        self, text: str, found: Sequence[tuple[range, int]]
    ) -> Mapping[int, Mention]:
        """Return the most that a text says of each slot's problem."""
        said: dict[int, Mention] = {}
        if found:
            heard = self._lexicon.listen(text)
            for place, slot in found:
                said[slot] = max(heard.says(place), said.get(slot, Mention.DENIED))
        return said

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
        if not found:
            return ()
        if len(found) > MOST_NAMES:
            named = (
                (" ".join(words[it.start : it.stop]), slots) for it, slots in found
            )
            return tuple((Mention.DOUBTFUL, *each) for each in dict.fromkeys(named))
        heard = self._lexicon.listen(text)
        starts = sorted(name.start for name, _ in found)
        called = [" ".join(words[name.start : name.stop]) for name, _ in found]
        ends = [
            (name.stop, self._called.get(each, each))
            for (name, _), each in zip(found, called, strict=True)
        ]
        return tuple(
            (
                heard.says(
                    name,
                    _next_of(starts, name.stop),
                    _end_of_another(ends, name.start, self._called.get(each, each)),
                ),
                each,
                slots,
            )
            for (name, slots), each in zip(found, called, strict=True)
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

    def _is_dosed_otherwise(self, slot: int, coded: Coded) -> bool:
        exclusion = self._excluding.get(slot)
        return exclusion is not None and exclusion.is_dosed_so(coded)

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


def _next_of(starts: Sequence[int], at: int) -> int | None:
    """Return the first of ascending *starts* that is not before *at*."""
    index = bisect_left(starts, at)
    return starts[index] if index < len(starts) else None


def _end_of_another(
    ends: Iterable[tuple[int, str]], start: int, ingredient: str
) -> int | None:
    """Return where the last name of another ingredient before *start* ended."""
    before = (end for end, each in ends if end <= start and each != ingredient)
    return max(before, default=None)


def _parents(valueset: ValueSet, system: str) -> set[str]:
    """Codes that are broader than one of the set's, and not in it."""
    shortest = 1 if system == ATC else _CATEGORY
    codes = {*valueset.codes.get(system, ()), *valueset.prefixes.get(system, ())}
    broader = {code[:end] for code in codes for end in range(shortest, len(code))}
    return {code for code in broader if not valueset.holds(system, code)}


_CATEGORY = 3
"""Characters of the shortest code of ICD-10-CM."""


def _settled_by(valueset: ValueSet) -> frozenset[str]:
    named = {RXNORM} if valueset.names else frozenset[str]()
    return valueset.systems - named - valueset.partial
