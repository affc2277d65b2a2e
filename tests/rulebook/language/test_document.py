import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml

TEXT = """\
literal: |
  **Heading** {{ a.b }}

  - more {{ c.d }}
folded: >-
  one
  two {{ e.f }}
plain: it  is
   {{ g.h }}
double: "say \\"{{ i.j }}\\" \\u00e9 {{ k.l }}"
single: 'it''s{{ m.n }}'
"""


@pytest.mark.parametrize(
    ("key", "part", "place"),
    [
        ("literal", "{{ a.b", (2, 15)),
        ("literal", "{{ c.d", (4, 10)),
        ("folded", "{{ e.f", (7, 7)),
        ("plain", "{{ g.h", (9, 4)),
        ("double", "{{ i.j", (10, 16)),
        ("double", "{{ k.l", (10, 35)),
        ("single", "{{ m.n", (11, 15)),
    ],
)
def test_a_character_of_a_text_is_found_however_the_text_is_written(
    key: str, part: str, place: tuple[int, int]
) -> None:
    document = parse_yaml(TEXT, "a.yaml", Findings())
    assert document is not None
    line = TEXT.split("\n")[place[0] - 1]
    assert line[place[1] - 1 :].startswith(part)

    offset = document.data[key].index(part)

    assert document.position_in((key,), offset) == place


def test_an_offset_beyond_the_text_stays_within_it() -> None:
    document = parse_yaml("a: xyz\nb: 1\n", "a.yaml", Findings())
    assert document is not None

    assert document.position_in(("a",), 99) == (1, 6)


def test_a_value_that_is_no_text_has_its_own_place() -> None:
    document = parse_yaml("a: 12\n", "a.yaml", Findings())
    assert document is not None

    assert document.position_in(("a",), 1) == (1, 4)
    assert document.position_in(("z",), 1) == (1, 1)
