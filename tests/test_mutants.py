"""Mutants: who survives must be known, with a reason, and most do not survive."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from mutants.results import (
    LOWEST_SCORE,
    Known,
    Mutant,
    Results,
    as_entries,
    forget_survivors,
    judge,
    misplaced,
    parse_known,
    read_results,
)
from mutants.scores import Account, account, digest

HOME = Path(__file__).parents[1] / "mutants"
ROOMS = sorted(each.stem for each in (HOME / "survivors").glob("*.yaml"))
SCORES = json.loads((HOME / "scores.json").read_text("utf-8"))

FILE = "cds_service/lamp.py"
WRITTEN = """\
from mutmut.mutation.trampoline import wrap_in_trampoline as _mutmut_mutated
mutants_x_light__mutmut: MutantDict = {}
@_mutmut_mutated(mutants_x_light__mutmut)
def light(level):
    if level > 3:
        return "on"
    return "off"
def x_light__mutmut_orig(level):
    if level > 3:
        return "on"
    return "off"
def x_light__mutmut_1(level):
    if level >= 3:
        return "on"
    return "off"
def x_light__mutmut_2(level):
    if level > 4:
        return "on"
    return "off"
class Lamp:
    def xǁLampǁread__mutmut_orig(self, most=3):
        return self.level < most
    def xǁLampǁread__mutmut_1(self, most=4):
        return self.level < most
"""
AT_LEAST = Mutant(FILE, "light", "if level > 3:", "if level >= 3:")
FOUR = Mutant(FILE, "light", "if level > 3:", "if level > 4:")
DEFAULT = Mutant(FILE, "Lamp.read", "def f(self, most=3):", "def f(self, most=4):")


def results(*survived: Mutant, noticed: int = 0) -> Results:
    return Results(Counter({Mutant(FILE, "other"): noticed}), Counter(survived))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What mutmut leaves where it worked."""
    codes = {
        "cds_service.lamp.x_light__mutmut_1": 0,
        "cds_service.lamp.x_light__mutmut_2": 1,
        "cds_service.lamp.xǁLampǁread__mutmut_1": 33,
    }
    (tmp_path / "cds_service").mkdir()
    (tmp_path / FILE).write_text(WRITTEN, "utf-8")
    meta = json.dumps({"exit_code_by_key": codes})
    (tmp_path / f"{FILE}.meta").write_text(meta, "utf-8")
    return tmp_path


def test_a_mutant_is_told_by_the_statement_before_and_after(folder: Path) -> None:
    assert read_results(folder) == Results(
        Counter([FOUR]), Counter([AT_LEAST, DEFAULT])
    )


def test_survivors_are_run_again_and_what_was_noticed_is_not(folder: Path) -> None:
    forget_survivors(folder)

    assert read_results(folder) == Results(Counter([FOUR]), Counter(), (FILE,))


def test_what_took_too_long_is_run_again_since_the_machine_may_have_been_busy(
    folder: Path,
) -> None:
    meta = folder / f"{FILE}.meta"
    meta.write_text(meta.read_text("utf-8").replace(": 1,", ": -24,"), "utf-8")
    assert read_results(folder).noticed == Counter([FOUR])

    forget_survivors(folder)

    assert read_results(folder).noticed == Counter()


def test_a_survivor_that_is_not_listed_fails_however_high_the_score() -> None:
    verdict = judge(results(FOUR, noticed=999), Known(Counter(), frozenset()))

    assert verdict.unlisted == (FOUR,)
    assert verdict.score == 0.999
    assert not verdict.passed


def test_a_survivor_that_is_listed_passes_but_counts() -> None:
    known = Known(Counter([FOUR]), frozenset())

    assert judge(results(FOUR, noticed=9), known).passed
    assert judge(results(FOUR, noticed=9), known).scores == {FILE: (9, 10)}
    assert not judge(results(FOUR, noticed=8), known).passed


def test_a_module_has_no_score_while_some_of_its_mutants_are_to_be_run() -> None:
    found = Results(Counter([AT_LEAST]), Counter([FOUR]), (FILE,))

    verdict = judge(found, Known(Counter(), frozenset()))

    assert (verdict.scores, verdict.unlisted) == ({}, (FOUR,))


def test_the_same_change_of_two_equal_statements_is_listed_twice() -> None:
    known = Known(Counter([FOUR]), frozenset())

    assert judge(results(FOUR, FOUR, noticed=99), known).unlisted == (FOUR,)


def test_one_that_is_listed_and_killed_by_now_is_told() -> None:
    found = Results(Counter([FOUR]), Counter())

    verdict = judge(found, Known(Counter([FOUR, AT_LEAST]), frozenset()))

    assert verdict.noticed_by_now == (FOUR,)
    assert verdict.passed


def test_a_function_of_which_no_mutant_is_ever_run_does_not_count() -> None:
    known = Known(Counter(), frozenset({Mutant(FILE, "light")}))

    assert judge(results(FOUR, noticed=1), known).scores == {FILE: (1, 1)}


def test_survivors_are_printed_as_they_are_listed_but_for_the_reason() -> None:
    entries = as_entries((AT_LEAST, FOUR))

    assert entries == {
        FILE: [
            {
                "function": "light",
                "why": "",
                "was": "if level > 3:",
                "now": ["if level >= 3:", "if level > 4:"],
            }
        ]
    }
    entries[FILE][0]["why"] = "No lamp has more than three levels."
    assert parse_known(entries) == Known(Counter([AT_LEAST, FOUR]), frozenset())


def test_a_survivor_without_a_reason_is_not_listed() -> None:
    with pytest.raises(ValueError, match="has no reason"):
        parse_known(as_entries((FOUR,)))


def test_what_is_listed_of_code_that_has_changed_is_found(tmp_path: Path) -> None:
    (tmp_path / "cds_service").mkdir()
    (tmp_path / FILE).write_text("def light(level):\n    return level > 3\n", "utf-8")
    stands = Mutant(FILE, "light", "return level > 3", "return level > 4")
    gone = Mutant("cds_service/gone.py", "light")

    known = Known(Counter([stands, FOUR, DEFAULT]), frozenset({gone}))

    assert misplaced(known, tmp_path) == [gone, DEFAULT, FOUR]


LAMP = """\
def light(level: int) -> str:
    return "on" if level > 3 else "off"
"""
EXPLAINED = """\
'''Lamps.'''

def light(level: int) -> str:
    '''Return whether it is on.'''
    # More than three is bright enough.
    return (
        "on" if level > 3 else "off"
    )
"""


def test_a_score_is_of_what_the_code_does_and_not_of_what_it_says_of_itself() -> None:
    assert digest(LAMP) == digest(EXPLAINED)
    assert digest(LAMP) != digest(LAMP.replace("> 3", ">= 3"))


def test_a_score_is_of_what_one_version_of_mutmut_makes() -> None:
    assert digest(LAMP, "mutmut==3.8.1") != digest(LAMP, "mutmut==3.9.0")


def test_what_has_no_function_has_no_mutants() -> None:
    assert digest("LEVELS = (1, 2, 3)") is None


def test_a_score_is_of_older_code_where_its_digest_is_another_one_or_none() -> None:
    scores = {
        "lamps": {
            "lamp.py": {"mutants": 9, "noticed": 9, "code": "a1"},
            "bulb.py": {"mutants": 9, "noticed": 9, "code": "b1"},
            "cord.py": {"mutants": 9, "noticed": 9},
        }
    }
    code = {
        "lamps": {"lamp.py": "a1", "bulb.py": "b2", "cord.py": "c1"},
        "doors": {"door.py": "d1"},
    }

    found = account(scores, code)

    assert found == Account(("lamp.py",), ("bulb.py", "cord.py"), ("door.py",))
    assert found.to_run == ("bulb.py", "cord.py", "door.py")
    assert str(found) == (
        "1 module has a score of the code as it is\n"
        "score of older code: bulb.py\n"
        "score of older code: cord.py\n"
        "no score: door.py"
    )


def test_a_score_of_another_room_is_none_of_this_one() -> None:
    scores = {"lamps": {"lamp.py": {"mutants": 9, "noticed": 9, "code": "a1"}}}

    assert account(scores, {"doors": {"lamp.py": "a1"}}).unscored == ("lamp.py",)


@pytest.mark.parametrize("room", ROOMS)
def test_every_listed_survivor_is_of_the_code_as_it_stands(room: str) -> None:
    text = (HOME / "survivors" / f"{room}.yaml").read_text("utf-8")

    assert misplaced(parse_known(yaml.safe_load(text)), HOME.parent) == []


@pytest.mark.parametrize("room", SCORES)
def test_the_score_that_was_written_down_is_high_enough(room: str) -> None:
    counts = SCORES[room].values()

    noticed = sum(each["noticed"] for each in counts)
    assert noticed / sum(each["mutants"] for each in counts) >= LOWEST_SCORE


@pytest.mark.parametrize("room", SCORES)
def test_as_many_survivors_are_listed_as_have_been_counted(room: str) -> None:
    text = (HOME / "survivors" / f"{room}.yaml").read_text("utf-8")
    listed = Counter(
        {each.module: 0 for each in parse_known(yaml.safe_load(text)).survivors}
    )
    for mutant, count in parse_known(yaml.safe_load(text)).survivors.items():
        listed[mutant.module] += count

    alive = {
        module: each["mutants"] - each["noticed"]
        for module, each in SCORES[room].items()
    }
    assert {module: count for module, count in alive.items() if count} == listed
