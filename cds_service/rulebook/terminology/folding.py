"""Text as people read it: what looks alike on a screen is one text here.

The same word reaches us composed and decomposed, with soft hyphens and blanks that do
not break, in capitals of other alphabets. So texts of a record and words of a rule file
are folded before they are compared, and compared by whole words: ``gel`` is not in
"softgel". Where more letters may follow or lead, the rule file says so with ``*``.

Source: Unicode Standard Annex 15 (NFKD); Unicode Standard 3.13 "Default Case Folding".
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache


def fold(text: str) -> str:
    """Return *text* in one spelling: small letters, no accents, single blanks.

    Hyphens and dashes of all kinds are ``-``, and what is invisible is gone.
    """
    plain = text.lower() if text.isascii() else _fold_letters(text)
    return " ".join(plain.split())


class TextWords(tuple[str, ...]):
    """The words of a text in their order."""

    @cached_property
    def distinct(self) -> frozenset[str]:
        """Which there are; hundreds of phrases are looked for in a long text."""
        return frozenset(self)


def words_of(text: str) -> TextWords:
    """Return the words of *text*, folded; letters and digits make words."""
    return _words_once(text) if len(text) <= LONGEST_NAME else _words_anew(text)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand side by side in a text."""

    words: tuple[str, ...]
    """Folded; ``*`` at the end or the beginning of one stands for more letters."""

    def begins_at(self, index: int, words: Sequence[str]) -> bool:
        """Return whether the phrase stands in *words* from *index* on."""
        beside = words[index : index + len(self.words)]
        return len(beside) == len(self.words) and all(
            said == meant or ("*" in meant and _matches(said, meant))
            for said, meant in zip(beside, self.words, strict=True)
        )

    def places_in(self, words: Sequence[str]) -> Iterator[int]:
        """Give each index of *words* at which the phrase begins."""
        first = self.words[0] if self.words else "*"
        there = words.distinct if isinstance(words, TextWords) else words
        if "*" in first:
            if not any(_matches(each, first) for each in there):
                return
        elif first not in there:
            return
        for index in range(len(words) - len(self.words) + 1):
            if self.begins_at(index, words):
                yield index


def phrase_of(text: str) -> Phrase:
    """Return the phrase that a rule file writes as *text*."""
    return Phrase(tuple(_WRITTEN.findall(fold(text))))


def _matches(said: str, meant: str) -> bool:
    inner = meant.strip("*")
    if meant.startswith("*"):
        return inner in said if meant.endswith("*") else said.endswith(inner)
    return said.startswith(inner)


@lru_cache(maxsize=4096)
def _words_once(text: str) -> TextWords:
    return _words_anew(text)


def _words_anew(text: str) -> TextWords:
    return TextWords(_WORD.findall(fold(text)))


def _fold_letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    # Folding may compose again what was taken apart.
    return "".join(map(_folded, unicodedata.normalize("NFKD", decomposed)))


@lru_cache(maxsize=2048)
def _folded(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    category = unicodedata.category(letter)
    if category == "Cf" or "\u0300" <= letter <= "\u036f":
        return ""
    return "-" if category == "Pd" else letter


_WORD = re.compile(r"[^\W_]+")
_WRITTEN = re.compile(r"\*?[^\W_]+\*?")
LONGEST_NAME = 200
"""Characters; longer texts are no names and are not kept."""
_LETTERS = {
    "ı": "i",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
    "\u2212": "-",
    "\u2018": "'",
    "\u2019": "'",
    "\u02bc": "'",
}
"""Letters and signs that no decomposition takes apart."""
