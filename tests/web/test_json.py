import json
import random
import time
from contextlib import suppress
from typing import Any

import pytest

from cds_service.protocol.errors import InvalidRequest, TooLarge
from cds_service.web.json import parse_json, render_json


def refusal(body: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_json(body)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, "x"]}\n', {"a": [1, 2.5, None, True, "x"]}),
        ('{"name": "Łukasz 🫀"}'.encode(), {"name": "Łukasz 🫀"}),
        (rb'{"a": "\u0041\n\"\\"}', {"a": 'A\n"\\'}),
        (rb'{"a\"": 1, "a\\": 2, "a\\\"": 3}', {'a"': 1, "a\\": 2, 'a\\"': 3}),
        (rb'{"\\": "\\\\", "b": "\\\"\\"}', {"\\": "\\\\", "b": '\\"\\'}),
        (rb'{"a": "\u0022:\u005c"}', {"a": '":\\'}),
        (b'"text"', "text"),
        (b'{"a" :1,"b"\t:2}', {"a": 1, "b": 2}),
        (b'{"x": {"a": 1}, "y": {"a": 1}}', {"x": {"a": 1}, "y": {"a": 1}}),
        (b'[{"a": 1}, {"a": 1}]', [{"a": 1}, {"a": 1}]),
    ],
)
def test_json_is_read(body: bytes, value: Any) -> None:
    assert parse_json(body) == value


def test_j_10_a_byte_order_mark_is_tolerated() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        b'{"hook":"a","hook":"b"}',
        b'{"hook":"a","hook":"a"}',
        rb'{"hook":"a","h\u006fok":"b"}',
        b'{"x":[{"y":{"hook":1,"z":2,"hook":3}}]}',
        b'{"hook" : 1 ,\n "hook"\t: 2}',
        rb'{"hook":"\"\":","hook":1,"z":"\\\":"}',
        b'{"hook":{"a":"b","c":["d"]},"hook":1}',
    ],
)
def test_j_11_a_member_named_twice_is_refused_by_name(body: bytes) -> None:
    assert refusal(body) == "An object names a member twice (hook)."


def test_j_11_a_name_that_may_hold_data_is_not_repeated_in_the_refusal() -> None:
    assert refusal(b'{"Ann 1970":1,"Ann 1970":2}') == "An object names a member twice."


def test_j_11_names_are_compared_exactly_whatever_the_strings_hold() -> None:
    pieces = ["a", "b", '"', "\\", '":', "\\u0022", "{", ",", "é", "\n"]
    dice = random.Random(7)
    for _ in range(3000):
        names = ["".join(dice.choices(pieces, k=dice.randint(0, 3))) for _ in range(3)]
        values = ["".join(dice.choices(pieces, k=dice.randint(0, 5))) for _ in range(3)]
        ascii_only = dice.random() < 0.5
        members = [
            f"{json.dumps(name, ensure_ascii=ascii_only)}:{json.dumps(value)}"
            for name, value in zip(names, values, strict=True)
        ]
        body = ("{" + ",".join(members) + "}").encode()
        if len(set(names)) == 3:
            assert parse_json(body) == dict(zip(names, values, strict=True))
        else:
            assert "twice" in refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[1] [2]",
        b"// note\n{}",
        b'{"a": "\xff"}',
        b'{"a": tru',
        "{}".encode("utf-16"),
    ],
)
def test_j_11_what_is_not_json_is_refused_with_its_place(body: bytes) -> None:
    assert refusal(body).startswith("The body is not valid JSON: line ")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_that_no_reader_holds_is_refused_as_such(number: str) -> None:
    told = refusal(f'{{"a": [1, {number}]}}'.encode())

    assert told == "A number is too large: line 1, column 11."


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"a": "x\ud83d"}', {"a": "x\ufffd"}),
        (b'{"a": "x\xf0\x9f"}', {"a": "x\ufffd"}),
        (b'{"a": "x\xed\xa0\xbd"}', {"a": "x\ufffd"}),
        (rb'{"\ud83d": 1, "b": "\"\\"}', {"\ufffd": 1, "b": '"\\'}),
    ],
)
def test_half_a_character_is_replaced_and_told(body: bytes, value: Any) -> None:
    told: list[int] = []

    assert parse_json(body, note=told.append) == value
    assert told == [1]
    assert parse_json(b"[]", note=told.append) == [] and told == [1]


@pytest.mark.parametrize(
    "body",
    [rb'{"hook":"a\ud83d","hook":"b"}', b'{"hook":"\xf0\x9f","hook":"\xf0\x9f"}'],
)
def test_j_11_half_a_character_hides_no_member_that_is_named_twice(body: bytes) -> None:
    assert refusal(body) == "An object names a member twice (hook)."


@pytest.mark.parametrize(
    "body",
    [rb'["\ud83d", ]', b'{"a": \xf0\x9f}', b"\xe2\x82{}", rb'\ud83d"a"', b'["\xf0'],
)
def test_half_a_character_makes_nothing_else_json(body: bytes) -> None:
    assert refusal(body).startswith("The body is not valid JSON: line ")


def test_half_characters_do_not_hide_how_many_values_there_are() -> None:
    with pytest.raises(TooLarge):
        parse_json(rb'["\ud83d",1,2,3]', 3)


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_refused(body: bytes) -> None:
    assert "empty" in refusal(body)


@pytest.mark.parametrize("depth", [300, 1000, 10_000, 100_000])
def test_j_11_deep_nesting_is_refused(depth: int) -> None:
    assert "nested" in refusal(b"[" * depth + b"]" * depth)
    assert "nested" in refusal(b'{"a":' * depth + b"1" + b"}" * depth)


def test_many_members_and_many_escapes_are_read_in_one_pass() -> None:
    body = json.dumps({f'"{i}\\': "\\" * 40 for i in range(30_000)}).encode()

    assert len(parse_json(body)) == 30_000


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"[1, 2, 3]", 3),
        (b'{"a": 1, "b": [], "c": { }}', 3),
        (b'[[[[ ]]], {"a": {}}]', 5),
        (rb'["a,b", ",[{\",[", "\\", 1]', 4),
        (b'[{"a": "{[,"}, null]', 3),
        (b"[[],\n[\t],[ ],{}]", 4),
    ],
)
def test_members_and_items_are_counted_and_what_strings_hold_is_not(
    body: bytes, values: int
) -> None:
    assert parse_json(body, values) == json.loads(body)
    with pytest.raises(TooLarge, match=f"more than {values - 1} "):
        parse_json(body, values - 1)


def count(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(count, value.values()))
    return len(value) + sum(map(count, value)) if isinstance(value, list) else 0


def test_the_count_is_that_of_what_was_parsed_whatever_it_is() -> None:
    dice = random.Random(11)
    texts = ["", ",", "[", "{}", '"', "\\", '\\",[', "é", "[]"]

    def make(depth: int) -> Any:
        kind = dice.randint(0, 3) if depth else 0
        if kind == 1:
            return [make(depth - 1) for _ in range(dice.randint(0, 4))]
        if kind > 1:
            return {
                f"{i}{dice.choice(texts)}": make(depth - 1)
                for i in range(dice.randint(0, 4))
            }
        return dice.choice([*texts, 1, -2.5, None, True])

    for _ in range(500):
        value = make(4)
        body = json.dumps(value, indent=dice.choice([None, 1])).encode()
        assert parse_json(body, count(value)) == value
        if count(value):
            with pytest.raises(TooLarge):
                parse_json(body, count(value) - 1)


HOSTILE = {
    "digits": lambda n: b"1" * n,
    "digits after the point": lambda n: b"0." + b"3" * n,
    "zeros after the point": lambda n: b"0." + b"0" * n + b"1",
    "an exponent": lambda n: b"1e" + b"9" * n,
    "numbers": lambda n: b"[" + b"1," * (n // 2) + b"1]",
    "open brackets": lambda n: b"[" * n,
    "one name again and again": lambda n: b"{" + b'"a":1,' * (n // 6) + b'"a":1}',
    "escaped marks": lambda n: b'"' + rb"\"" * (n // 2) + b'"',
    "escaped marks without an end": lambda n: b'"' + rb"\"" * (n // 2),
    "backslashes without an end": lambda n: b'["' + b"\\" * (n + 1),
    "marks": lambda n: b'"' * n,
    "commas in a string": lambda n: b'["' + b"," * n + b'"]',
    "white space": lambda n: b"[" + b" " * n + b"]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_j_11_twice_the_body_takes_no_more_than_about_twice_the_time(
    name: str,
) -> None:
    def seconds(size: int) -> float:
        body = HOSTILE[name](size)
        times = []
        for _ in range(5):
            begun = time.process_time()
            with suppress(InvalidRequest, TooLarge):
                parse_json(body)
            times.append(time.process_time() - begun)
        return min(times)

    # Quadratic, eight times the body would take sixty-four times as long.
    assert seconds(800_000) < 30 * seconds(100_000) + 0.05


@pytest.mark.parametrize("digits", [20, 300, 309, 310, 5000, 100_000])
def test_j_11_a_number_of_many_digits_is_read_or_refused_and_never_a_bug(
    digits: int,
) -> None:
    for body in (b"9" * digits, b'{"a":1,"a":' + b"9" * digits + b"}"):
        with suppress(InvalidRequest):
            assert isinstance(parse_json(body), int | float)


@pytest.mark.parametrize("value", [b'"p2"', b'"p1"', rb'"\u0070\u0031"', b"null"])
@pytest.mark.parametrize("name", [b"patientId", rb"patient\u0049d"])
def test_two_patients_are_refused_whatever_they_are(name: bytes, value: bytes) -> None:
    body = b'{"context":{"patientId":"p1","' + name + b'":' + value + b"}}"

    assert refusal(body) == "An object names a member twice (patientId)."


def test_rendering_keeps_letters_of_every_script() -> None:
    assert render_json({"name": "Łukasz 🫀"}) == '{"name":"Łukasz 🫀"}'.encode()
