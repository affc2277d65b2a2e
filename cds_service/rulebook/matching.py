"""Which facts a coded resource may belong to: the codes of all rules, turned round.

A code that no rule uses is not in the index, so a resource that no rule cares about
costs one look-up that fails.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .expansions import Known
from .readings import Lack
from .terminology import SYSTEMS, normalise_code
from .valuesets import ValueSet

RXNORM = SYSTEMS["rxnorm"]


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


@dataclass(slots=True)
class Coded:
    """What is needed of a resource to find its facts."""

    codings: list[tuple[str, str, str]]
    """Canonical system, code and display."""
    names: Sequence[str] = ()
    """Texts that may name an ingredient; medicines only."""
    read_forms: Callable[[], str] = str
    """Dose form and route in words, read only if a set excludes some."""
    lack: Lack | None = None
    """Why its codes are not known; None where they are, or words stand for them."""


_WORD = re.compile(r"[^\W_]+")


class CodeIndex:
    """Codes, prefixes and ingredient names of one kind of fact, to slots."""

    def __init__(
        self, slots: Mapping[int, str], valuesets: Mapping[str, ValueSet]
    ) -> None:
        """*slots* are the numbers of the selectors, each with its value set's name."""
        self._codes: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
        self._prefixes: dict[str, dict[int, dict[str, list[int]]]] = {}
        self._names: dict[str, list[tuple[tuple[str, ...], list[int]]]] = {}
        self._settled = {
            slot: _settled_by(valuesets[name]) for slot, name in slots.items()
        }
        self._known = {slot: valuesets[name].known for slot, name in slots.items()}
        self._release = next(
            (each.known for each in valuesets.values() if each.known.codes), Known()
        )
        self._excluding = {
            slot: valuesets[name]
            for slot, name in slots.items()
            if _excludes(valuesets[name])
        }
        by_set: dict[str, list[int]] = {name: [] for name in valuesets}
        for slot, name in slots.items():
            by_set[name].append(slot)
        for name, valueset in valuesets.items():
            self._add(valueset, by_set[name])

    def _add(self, valueset: ValueSet, slots: list[int]) -> None:
        for system, codes in valueset.codes.items():
            if not slots and system == RXNORM:
                codes = codes - self._release.codes
            self._add_codes(self._codes[system], codes, tuple(slots))
        for system, prefixes in valueset.prefixes.items():
            by_length = self._prefixes.setdefault(system, {})
            for prefix in prefixes:
                starts = by_length.setdefault(len(prefix), {})
                starts.setdefault(prefix, []).extend(slots)
        for name in valueset.names:
            words = tuple(_WORD.findall(name.lower()))
            if words:
                self._names.setdefault(words[0], []).append((words, slots))

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

    def find(self, coded: Coded) -> tuple[dict[int, Hit], bool]:
        """The slots that a resource belongs to, and whether any value set knows it.

        In this order: an exact code, a code's prefix, an ingredient's name. A set that
        can decide by one of the codes is not asked by name.
        """
        hits: dict[int, Hit] = {}
        known = False
        for coding in coded.codings:
            known = known or self._holds_nothing_else(coding)
            for slots in self._slots_of(coding):
                known = known or coding[1].strip() not in self._release.mixed
                hit = Hit(f"{coding[0]}|{coding[1]}", coding[2], False)
                for slot in slots:
                    hits.setdefault(slot, hit)
        if self._names:
            for _, text, slots in self._named(coded.names):
                known = True
                for slot in slots:
                    if slot not in hits and not self._decides(slot, coded):
                        hits[slot] = Hit("", text, True)
        if hits and self._excluding:
            for slot in [slot for slot in hits if self._is_excluded(slot, coded)]:
                del hits[slot]
        return hits, known

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

    def _named(
        self, names: Iterable[str]
    ) -> Iterable[tuple[tuple[str, ...], str, list[int]]]:
        """The words of each ingredient that is named, the text that does, the slots."""
        for name in names:
            words = _WORD.findall(name.lower())
            for index, word in enumerate(words):
                for candidate, slots in self._names.get(word, ()):
                    if tuple(words[index : index + len(candidate)]) == candidate:
                        yield candidate, name, slots

    def ingredients(self, names: Iterable[str]) -> frozenset[str]:
        """Return the ingredients of any value set that the names name."""
        return frozenset(" ".join(words) for words, _, _ in self._named(names))

    def _is_excluded(self, slot: int, coded: Coded) -> bool:
        valueset = self._excluding.get(slot)
        if valueset is None:
            return False
        sure = False
        for system, written, _ in coded.codings:
            code = normalise_code(system, written)
            sure = sure or (system == RXNORM and _has_form(code, valueset.known))
            if code in valueset.excluded_codes.get(system, ()) or code.startswith(
                valueset.excluded_prefixes.get(system, ())
            ):
                return True
        if sure or not valueset.excluded_forms:
            return False
        words = " ".join([*coded.names, coded.read_forms()]).lower()
        return any(form in words for form in valueset.excluded_forms)

    def _decides(self, slot: int, coded: Coded) -> bool:
        settled, known = self._settled[slot], self._known[slot].codes
        return any(
            system in settled or (code in known and system == RXNORM)
            for system, code, _ in coded.codings
        )

    def settled(self, slot: int) -> frozenset[str]:
        """The systems whose codes settle membership.

        A product code of RxNorm settles nothing for a set of ingredients.
        """
        return self._settled[slot]


def _has_form(code: str, known: Known) -> bool:
    """Whether a code says itself in which dose form it is, so that no words need to."""
    return code in known.codes and code not in known.formless


def _settled_by(valueset: ValueSet) -> frozenset[str]:
    return valueset.systems - ({RXNORM} if valueset.names else frozenset())


def _excludes(valueset: ValueSet) -> bool:
    return bool(
        valueset.excluded_codes or valueset.excluded_prefixes or valueset.excluded_forms
    )
