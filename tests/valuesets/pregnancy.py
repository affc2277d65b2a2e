"""Write the value set of pregnancy anew: ``python tests/valuesets/pregnancy.py``.

ICD-10-CM files what complicates a pregnancy beside what complicates childbirth and the
puerperium, often under one category, so that no few prefixes say it. A code is of a
pregnancy where its branch is and its own description does not name a time when the
pregnancy is over. They are written as the shortest prefixes that hold no other code.

Source: ICD-10-CM, the release of ``simple-icd-10-cm``.
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import simple_icd_10_cm as icd10cm

FILE = Path(__file__).parents[2] / "rules/valuesets/pregnancy.yaml"

BRANCHES = (
    # Of the pregnant woman herself, and how far the pregnancy has come
    *("Z33.1", "Z33.3", "Z34", "Z3A", "O09"),
    # Complications of the pregnancy
    *("O20", "O21", "O22", "O23", "O28", "O29", "O30", "O31", "O32", "O33", "O34"),
    *("O35", "O36", "O40", "O41", "O42", "O43", "O44", "O45", "O46", "O47", "O48"),
    "O60.0",
    # Filed by what they are: before, at and after the birth
    *("O10", "O11", "O12", "O13", "O14", "O15", "O16", "O24", "O25", "O26"),
    *("O88", "O91", "O92.0", "O92.1", "O98", "O99", "O9A"),
)
"""Not ectopic, molar and aborted pregnancies (O00 to O08), labour and delivery (O60.1
to O82), the puerperium (O85 to O90), lactation (O92.2 to O92.7), outcomes (Z37 to Z39),
a test (Z32.0), an ending (Z33.2).
"""

_OVER = re.compile(r"(?i)\b(childbirth|complicating labor|puerperium|lactation)\b")


def main() -> None:
    """Put what is found into the value set's file."""
    FILE.write_text(render(FILE.read_text(encoding="utf-8")), encoding="utf-8")


def render(text: str) -> str:
    """Return the text of the value set with its list of prefixes made anew."""
    lines = ["    under:\n", "      [\n"]
    row = ""
    for code in prefixes():
        if len(row) + len(code) > 78:
            lines.append(f"        {row.rstrip()}\n")
            row = ""
        row += f"{code}, "
    lines += [f"        {row.rstrip()}\n", "      ]\n"]
    return re.sub(r"(?s)    under:\n.*?\n      \]\n", "".join(lines), text)


def prefixes() -> list[str]:
    """Return the shortest prefixes that hold all codes of a pregnancy, and no other."""
    return sorted(code for branch in BRANCHES for code in _whole(branch))


def _whole(code: str) -> Iterator[str]:
    leaves = _leaves(code)
    if all(map(_is_of_pregnancy, leaves)):
        yield code
    elif any(map(_is_of_pregnancy, leaves)):
        for child in icd10cm.get_children(code):
            yield from _whole(child)


def _leaves(code: str) -> list[str]:
    return [
        each for each in [code, *icd10cm.get_descendants(code)] if icd10cm.is_leaf(each)
    ]


def _is_of_pregnancy(leaf: str) -> bool:
    """Check what a code says itself: titles above it name all the times they hold."""
    return not _OVER.search(icd10cm.get_description(leaf))


if __name__ == "__main__":
    main()
