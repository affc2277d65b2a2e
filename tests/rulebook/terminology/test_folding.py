"""Words that look alike are alike."""

import unicodedata
from typing import Any

import pytest

from cds_service.rulebook.terminology.folding import fold, phrase_of, words_of


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Atrial  Fibrillation ", "atrial fibrillation"),
        ("atrial\u00a0fibrillation", "atrial fibrillation"),
        ("atrial\u2009\u202ffibrillation", "atrial fibrillation"),
        ("atrial\tfibrillation\r\n", "atrial fibrillation"),
        ("fibril\u00adlation", "fibrillation"),
        ("fibril\u200blation", "fibrillation"),
        ("\ufefffibrillation", "fibrillation"),
        ("end\u2011stage", "end-stage"),
        ("end\u2013stage", "end-stage"),
        ("end\u2212stage", "end-stage"),
        ("Anémie", "anemie"),
        (unicodedata.normalize("NFD", "Anémie"), "anemie"),
        ("Fußpilz", "fusspilz"),
        ("FUSSPILZ", "fusspilz"),
        ("FUẞPILZ", "fusspilz"),
        ("DİYABET", "diyabet"),
        ("dıyabet", "diyabet"),
        ("Graves’ disease", "graves' disease"),
        ("Sjøgren", "sjogren"),
        ("ﬁbrillation", "fibrillation"),
        ("ＡＦ", "af"),
        ("ΦΑΡΜΑΚΟΣ", "φαρμακοσ"),
        ("", ""),
    ],
)
def test_what_looks_alike_is_one_text(written: str, read: str) -> None:
    assert fold(written) == read
    assert fold(fold(written)) == read


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("text", ["Ménière", "Fußpilz", "İ", "ǰ", "ΐ", "Å", "각"])
def test_it_does_not_matter_how_letters_are_composed(form: Any, text: str) -> None:
    assert fold(unicodedata.normalize(form, text)) == fold(text)


def test_words_are_letters_and_digits_and_long_texts_have_them_too() -> None:
    assert words_of("Metoprolol-Ratiopharm_50\u00a0mg, 1-0-0") == (
        *("metoprolol", "ratiopharm", "50", "mg", "1", "0", "0"),
    )
    assert words_of("so " * 200) == ("so",) * 200


@pytest.mark.parametrize(
    ("written", "text", "places"),
    [
        ("gel", "Diclofenac 1 % Gel", [2]),
        ("gel", "Ibuprofen softgel in gelatin", []),
        ("end-stage renal", "End stage renal disease", [0]),
        ("end stage renal", "END\u2011STAGE renal disease", [0]),
        ("palliative", "nonpalliative", []),
        ("palliativ*", "Palliativmedizin, palliative", [0, 1]),
        ("*insuffizienz", "Herzinsuffizienz", [0]),
        ("*insuffizienz", "Herzinsuffizienzen", []),
        ("*pall*", "nonpalliative", [0]),
        ("eye drop*", "eye and ear drops, eye drops", [4]),
        ("eye drop*", "the eye", []),
    ],
)
def test_a_phrase_is_whole_words_side_by_side(
    written: str, text: str, places: list[int]
) -> None:
    assert list(phrase_of(written).places_in(words_of(text))) == places


class Read(list[str]):
    """Words that count how many of them were looked at."""

    count = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.count += len(found) if isinstance(key, slice) else 1
        return found


def test_a_text_of_a_thousand_words_is_gone_through_once() -> None:
    """However long it is, the work for a word stays the same."""
    words = Read(["very", "long"] * 500)

    assert list(phrase_of("long text").places_in(words)) == []

    assert words.count <= 2 * len(words)
