import json
import random
from typing import Any

import pytest

from cds_service.protocol.errors import InvalidRequest
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
        b"[1e400]",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[1] [2]",
        b"// note\n{}",
        b'{"a": "\xff"}',
        rb'"\ud800"',
        b'{"a": tru',
        "{}".encode("utf-16"),
    ],
)
def test_j_11_what_is_not_json_is_refused_with_its_place(body: bytes) -> None:
    assert refusal(body).startswith("The body is not valid JSON: line ")


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


def test_rendering_keeps_letters_of_every_script() -> None:
    assert render_json({"name": "Łukasz 🫀"}) == '{"name":"Łukasz 🫀"}'.encode()
