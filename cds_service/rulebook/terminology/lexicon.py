"""What words of a record mean beside the names in them: dose forms, routes, mentions.

The words stand in ``rules/lexicon/``, a file a language. A form is what value sets mean
by a word under ``dose_forms``: the words for it, the codes of its routes and its ATC
classes. A mention is a name that a text holds and does not mean: "family history of",
"allergic to", "also takes", "immune fab".
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from ...fhir.code_systems import SYSTEMS, canonical_system, normalise_code
from ..language.document import Document
from .checks import overlay_of
from .folding import Phrase, TextWords, fold, phrase_of, words_of

FOLDER = "lexicon/"
"""Where the files stand in the rules folder; those of an overlay in a folder below."""
_ATC = SYSTEMS["atc"]


@dataclass(frozen=True, slots=True)
class DoseForm:
    """A dose form, or where a medicine is given."""

    name: str
    phrases: tuple[Phrase, ...]
    but_not: tuple[Phrase, ...] = ()
    """What holds one of the phrases and is another form, such as "soft gel"."""
    codes: frozenset[tuple[str, str]] = frozenset()
    """System and code of the form or its route."""
    atc: tuple[str, ...] = ()
    """What ATC codes of medicines in this form begin with."""

    def is_said(self, words: Sequence[str]) -> bool:
        """Return whether folded *words* of a name or a form say this form."""
        return any(True for _ in self.places_in(words))

    def places_in(self, words: Sequence[str]) -> Iterator[range]:
        """Give each place in folded *words* that says this form."""
        return _places(self.phrases, self.but_not, words)


class Mention(IntEnum):
    """What a text says of a name in it; of several, the last one here counts most."""

    DENIED = 0
    """It is not there, or is somebody else's."""
    OTHER_THING = 1
    """The name is a part of another thing's name, such as an antibody's."""
    DOUBTFUL = 2
    """It may or may not be meant."""
    MEANT = 3


@dataclass(frozen=True, slots=True)
class Cues:
    """Phrases that stand before or after a name and say what of it is meant."""

    before: tuple[Phrase, ...] = ()
    after: tuple[Phrase, ...] = ()
    but_not: tuple[Phrase, ...] = ()
    """What holds one of the phrases and says nothing."""

    def leading(self, words: Sequence[str]) -> Iterator[range]:
        """Give each place in *words* of a cue for what comes after it."""
        return _places(self.before, self.but_not, words)

    def following(self, words: Sequence[str]) -> Iterator[range]:
        """Give each place of a cue for what came before it: not "allergic *to*"."""
        return _places(self.after, (*self.but_not, *self.before), words)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of all languages of a rules folder."""

    forms: Mapping[str, DoseForm] = field(default_factory=dict)
    denied: Cues = Cues()
    doubtful: Cues = Cues()
    aside: Cues = Cues()
    """Cues that count only in brackets, after a text's first sentence, and between the
    name of another medicine and this one."""
    between: Cues = Cues()
    """Cues that count only between the name of another medicine and this one."""
    other_things: Cues = Cues()
    """What makes a name part of another thing's name, right beside it."""
    no_medicines: tuple[Phrase, ...] = ()
    """Things that are ordered as medicines are, and are none: "insulin syringe"."""

    common_words: frozenset[str] = frozenset()
    """Words that problems are called by and that are no names, in small letters."""

    def within_sentence(self, name: str) -> str:
        """Return *name* without its capital, where that is surely no name's.

        The first word is a common one, and no other word has a capital: a title in
        capitals, another language and the name of a person stay as they are.
        """
        first, *others = _LETTERS.findall(name) or [""]
        common = name.startswith(first) and first.lower() in self.common_words
        if not (common and _is_titled(first)) or any(map(_is_titled, others)):
            return name
        return name[0].lower() + name[1:]

    def form(self, word: str) -> DoseForm:
        """Return the form that a value set names by *word*; else that word alone."""
        found = self.forms.get(word)
        return DoseForm(word, (phrase_of(word),)) if found is None else found

    def is_no_medicine(self, text: str) -> bool:
        """Return whether a text says a thing that is ordered and is no medicine."""
        words = words_of(text)
        return any(True for _ in _places(self.no_medicines, (), words))

    def listen(self, text: str) -> "Wording":
        """Return what is said in *text* beside the names that stand in it."""
        said = _said(text)
        words = said.words
        return Wording(
            said,
            tuple(_places(self.no_medicines, (), words)),
            _Cued.of(self.denied, words),
            _Cued.of(self.doubtful, words),
            _Cued.of(self.aside, words),
            _Cued.of(self.between, words),
            _Cued.of(self.other_things, words),
        )


class _Cued(NamedTuple):
    """Where cues of one kind stand in a text."""

    leading: tuple[range, ...]
    following: tuple[range, ...]

    @classmethod
    def of(cls, cues: Cues, words: Sequence[str]) -> "_Cued":
        return cls(tuple(cues.leading(words)), tuple(cues.following(words)))


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text says beside names: looked for once, however many names it has."""

    _said: "_Said"
    _no_medicines: tuple[range, ...]
    _denied: _Cued
    _doubtful: _Cued
    _aside: _Cued
    _between: _Cued
    _other_things: _Cued

    def says(
        self, name: range, end: int | None = None, other: int | None = None
    ) -> Mention:
        """Return what the text says of the name that its words *name* are.

        What follows is about it up to the word *end*, where the next name begins; the
        word *other* is the first after the name of another medicine before it.
        """
        said = self._said
        part = next(each for each in said.parts if name.start in each)
        if _is_beside(self._other_things, part, name):
            return Mention.OTHER_THING
        if any(_holds(each, name) for each in self._no_medicines):
            return Mention.OTHER_THING
        rest = range(name.stop, len(said.words) if end is None else end)
        before = range(part.start, name.start)
        between = range(name.start if other is None else other, name.start)
        aside = before if part.start > 0 else between
        if (
            _any_in(before, self._doubtful.leading)
            or _any_in(aside, self._aside.leading)
            or _any_in(between, self._between.leading)
        ):
            return Mention.DOUBTFUL
        if _any_in(rest, self._doubtful.following):
            return Mention.DOUBTFUL
        denying = [each for each in self._denied.leading if _holds(before, each)]
        denying += [each for each in self._denied.following if _holds(rest, each)]
        if any(_is_near(said, each, name) for each in denying):
            return Mention.DENIED
        return Mention.DOUBTFUL if denying else Mention.MEANT


_LETTERS = re.compile(r"[^\W\d_]+")


def _is_titled(word: str) -> bool:
    """Return whether a word is written with a capital and small letters."""
    return word[:1].isupper() and word[1:].islower()


def build_lexicon(
    documents: Iterable[Document], overlays: Collection[str] = ()
) -> Lexicon:
    """Return the lexicon of files whose shape has been checked.

    Those of an overlay's folder count only if *overlays* names it.
    """
    used = [
        each.data
        for each in documents
        if not overlay_of(each) or overlay_of(each) in overlays
    ]
    forms: dict[str, DoseForm] = {}
    for data in used:
        for name, written in data.get("forms", {}).items():
            forms[name] = _joined(forms.get(name), _form(name, written))
    mentions = [data.get("mentions", {}) for data in used]
    return Lexicon(
        forms,
        denied=_cues(mentions, "denied"),
        doubtful=_cues(mentions, "doubtful"),
        aside=_cues(mentions, "aside"),
        between=_cues(mentions, "between"),
        other_things=_cues(mentions, "other_things"),
        no_medicines=_phrases(
            word for data in used for word in data.get("no_medicines", ())
        ),
        common_words=frozenset(
            fold(word) for data in used for word in data.get("common_words", ())
        ),
    )


def _form(name: str, written: Mapping[str, Any]) -> DoseForm:
    codes = (
        (canonical_system(entry["system"]), code.strip())
        for entry in written.get("codes", ())
        for code in entry["codes"]
    )
    return DoseForm(
        name,
        _phrases(written.get("words", ())),
        _phrases(written.get("but_not", ())),
        frozenset(codes),
        tuple(normalise_code(_ATC, code) for code in written.get("atc", ())),
    )


def _joined(one: DoseForm | None, other: DoseForm) -> DoseForm:
    if one is None:
        return other
    return DoseForm(
        one.name,
        one.phrases + other.phrases,
        one.but_not + other.but_not,
        one.codes | other.codes,
        one.atc + other.atc,
    )


def _cues(mentions: Iterable[Mapping[str, Any]], kind: str) -> Cues:
    found = [each[kind] for each in mentions if kind in each]

    def listed(key: str) -> tuple[Phrase, ...]:
        return _phrases(word for each in found for word in each.get(key, ()))

    return Cues(listed("before"), listed("after"), listed("but_not"))


def _phrases(written: Iterable[str]) -> tuple[Phrase, ...]:
    return tuple(dict.fromkeys(map(phrase_of, written)))


class _Said(NamedTuple):
    """A text as its words, in parts and clauses."""

    words: tuple[str, ...]
    parts: tuple[range, ...]
    """Between brackets, full stops, semicolons and line breaks."""
    clauses: tuple[int, ...]
    """Of each word the number of its clause, which commas divide as well."""


def _said(text: str) -> _Said:
    words: list[str] = []
    clauses: list[int] = []
    ends: list[int] = []
    clause = 0
    for mark in _MARKS.findall(fold(text.replace("\n", " ; "))):
        if mark[0].isalnum():
            words.append(mark)
            clauses.append(clause)
            continue
        clause += 1
        if mark != ",":
            ends.append(len(words))
    edges = sorted({0, *ends, len(words)})
    parts = tuple(map(range, edges, edges[1:]))
    return _Said(TextWords(words), parts, tuple(clauses))


_STOP = r"(?<![.\s(][^\W\d_])(?<!^[^\W\d_])\.(?=\s|$)"
"""A full stop that is not of an abbreviation, such as the last one of "e.g."."""
_MARKS = re.compile(rf"[^\W_]+|,(?!\d)|[()\[\]{{}};!?]|{_STOP}|(?<=\s)-+(?=\s)")


def _places(
    phrases: Iterable[Phrase], but_not: Iterable[Phrase], words: Sequence[str]
) -> Iterator[range]:
    """Yield where one of the phrases stands in words, not within one of *but_not*."""
    found = [place for each in phrases for place in _ranges(each, words)]
    if found:
        others = [place for each in but_not for place in _ranges(each, words)]
        for place in found:
            if not any(len(o) > len(place) and _holds(o, place) for o in others):
                yield place


def _ranges(phrase: Phrase, words: Sequence[str]) -> Iterator[range]:
    for start in phrase.places_in(words):
        yield range(start, start + len(phrase.words))


def _holds(outer: range, inner: range) -> bool:
    return outer.start <= inner.start and inner.stop <= outer.stop


def _any_in(outer: range, places: Iterable[range]) -> bool:
    return any(_holds(outer, each) for each in places)


def _is_near(said: _Said, cue: range, name: range) -> bool:
    """Check if a cue stands so near to a name that it can be about nothing else."""
    gap = max(name.start - cue.stop, cue.start - name.stop)
    return gap <= _REACH and said.clauses[cue.start] == said.clauses[name.start]


def _is_beside(cues: _Cued, part: range, name: range) -> bool:
    """Check if a cue stands right beside the name, at most one word between them."""
    before = (name.start - each.stop for each in cues.leading if each.start in part)
    after = (each.start - name.stop for each in cues.following if each.start in part)
    return any(gap in (0, 1) for gap in (*before, *after))


_REACH = 4
"""Words between a cue and a name that it surely speaks of."""
