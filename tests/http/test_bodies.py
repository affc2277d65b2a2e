"""The bodies of other servers' answers."""

import pytest

from cds_service.http.bodies import parse_body


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (rb'{"a": "x\ud83d"}', {"a": "x\ufffd"}),
        (rb'{"a": "\udc00\ud83d"}', {"a": "\ufffd\ufffd"}),
        (rb'{"a": "\ud83d\ud83d\ude00"}', {"a": "\ufffd\U0001f600"}),
        (rb'{"a": "\uD83D\uDE00"}', {"a": "\U0001f600"}),
        (rb'{"a": "\\ud83d"}', {"a": r"\ud83d"}),
        (rb'{"a": "\\\ud83d"}', {"a": "\\\ufffd"}),
        (rb'{"\ud83d": 1}', {"\ufffd": 1}),
        (b'{"a": "x\xf0\x9f"}', {"a": "x\ufffd"}),
        (b'{"a": "x\xed\xa0\xbd"}', {"a": "x\ufffd"}),
        (b'\xef\xbb\xbf{"a": "x\xe2\x82"}', {"a": "x\ufffd"}),
    ],
)
def test_half_a_character_is_replaced(content, value):
    assert parse_body(content) == (value, "")


def test_half_characters_are_counted():
    told = []

    parse_body(rb'{"a": "\udc00\ud83d"}', told.append)
    parse_body(b'{"a": "whole"}', told.append)

    assert told == [2]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (b"61.50", 61.5),
        (b"-7", -7),
        (b"123456789012345678", 123456789012345678),
        (b"1e999", None),
        (b"-1e999", None),
        (b"1" + b"0" * 400, None),
        (b"1" + b"0" * 5000, None),
        (b"1" + b"0" * 20, 1e20),
    ],
)
def test_a_number_that_no_float_holds_is_null(number, value):
    assert parse_body(b'{"a": %b, "b": 1}' % number) == ({"a": value, "b": 1}, "")


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_number_is_not_json(constant):
    assert parse_body(constant) == (None, "not JSON")


@pytest.mark.parametrize("number", [1234567890123456789, -1234567890123456789])
def test_a_number_of_64_bits_keeps_its_last_digit(number):
    assert parse_body(b'{"a": %d}' % number) == ({"a": number}, "")


@pytest.mark.parametrize("inside", [b"", rb'"\ud83d"', b"1e999"])
def test_what_is_nested_deeper_than_it_could_be_sent_on_is_not_json(inside):
    read, _ = parse_body(b"[" * 254 + inside + b"]" * 254)

    assert read is not None
    assert parse_body(b"[" * 255 + inside + b"]" * 255) == (None, "not JSON")
    assert parse_body(b"[" * 970 + inside + b"]" * 970) == (None, "not JSON")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty body"),
        (b"\xef\xbb\xbf \n", "empty body"),
        (b" <!DOCTYPE HTML><html>", "HTML"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\x01"}', "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"{} {}", "not JSON"),
    ],
)
def test_what_is_no_json_says_what_it_is(content, why):
    assert parse_body(content) == (None, why)


def test_of_two_members_with_one_name_the_last_is_read():
    assert parse_body(b'{"a": 1, "a": 2}') == ({"a": 2}, "")
    assert parse_body(b'{"a": NaN, "a": 2}') == (None, "not JSON")
    assert parse_body(rb'{"a": 1, "a": "\ud83d"}') == ({"a": "\ufffd"}, "")
