"""What a value set rules out although its codes or names match.

A form is told by the route, the dose form and the words of a name. A dosage's text is a
sentence to a person: at most it leaves open what the medicine is.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

from ....fhir.code_systems import SYSTEMS, normalise_code
from ...terminology.expansions import KnownProducts
from ...terminology.folding import LONGEST_NAME, Phrase, fold, phrase_of, words_of
from ...terminology.lexicon import DoseForm, Lexicon, Mention
from ...terminology.valuesets import ValueSet
from .coded import Coded, Stated

RXNORM, ATC = SYSTEMS["rxnorm"], SYSTEMS["atc"]
_T = TypeVar("_T")


def kept(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """Return *read*, which keeps what it has read in texts that may be names."""
    known = lru_cache(maxsize=2048)(read)
    return lambda text: (known if len(text) <= LONGEST_NAME else read)(text)


def excludes(valueset: ValueSet) -> bool:
    """Check if a value set rules anything out beside what it holds."""
    return bool(
        valueset.excluded_codes
        or valueset.excluded_prefixes
        or valueset.excluded_forms
        or valueset.excluded_names
        or valueset.excluded_words
    )


class Exclusion:
    """What a value set rules out although its codes or names match."""

    def __init__(self, valueset: ValueSet, lexicon: Lexicon) -> None:
        self._set = valueset
        self._lexicon = lexicon
        self._partners = tuple(map(phrase_of, valueset.excluded_names))
        self._words = tuple(map(phrase_of, valueset.excluded_words))
        self._atc = tuple(code for form in valueset.forms for code in form.atc)
        self._says_word = kept(self._find_word)
        self._says_partner = kept(self._find_partner)
        self._says_form = kept(self._find_form)
        self._says_form_in_rxnorm = kept(self._find_form_in_rxnorm)
        self._others = [
            each for each in lexicon.forms.values() if each not in valueset.forms
        ]
        self._says_no_other_form = kept(self._find_no_other_form)

    def holds(self, coded: Coded) -> bool:
        """Return whether a code, a word, a partner or the form rules it out."""
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

    def is_dosed_so(self, coded: Coded) -> bool:
        """Return whether a dosage alone tells of a form that rules it out.

        Nothing else tells the form: no code, route, dose form or word of a name.
        """
        if not self._set.forms:
            return False
        routes, forms, dosages = coded.shape()
        if not any(map(self._says_no_other_form, dosages)):
            return False
        known = self._lexicon.forms.values()
        named = [words_of(text) for text in coded.names]
        return not (
            any(_states(known, each) for each in (*routes, *forms))
            or any(form.is_said(words) for form in known for words in named)
            or any(
                system == RXNORM and _has_form(code, self._set.known)
                for system, code, _ in coded.codings
            )
        )

    def _find_no_other_form(self, text: str) -> bool:
        """Return whether a text means a form that rules it out, and says no other."""
        words = words_of(text)
        places = [place for form in self._set.forms for place in form.places_in(words)]
        if not places or any(form.is_said(words) for form in self._others):
            return False
        heard = self._lexicon.listen(text)
        return any(heard.says(place) is Mention.MEANT for place in places)

    def _find_word(self, text: str) -> bool:
        return any(True for _ in _found(self._words, text))

    def _find_partner(self, text: str) -> bool:
        found = list(_found(self._partners, text))
        if not found:
            return False
        heard = self._lexicon.listen(text)
        return any(heard.says(place) is Mention.MEANT for place in found)

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


def _has_form(code: str, known: KnownProducts) -> bool:
    """Check if a code itself says its dose form, so that no words need to."""
    return code in known.codes and code not in known.formless
