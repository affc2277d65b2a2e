"""Where one request ends and the next begins, and that gunicorn reads the same."""

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import RequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from cds_service.cli.serve.framing import (
    SPARE_OVERHEAD,
    Head,
    Limits,
    Refused,
    Request,
    Stream,
)

LIMITS = Limits(line=60, head=300, body=20)
AMPLE = Limits(line=4094, head=32768, body=1000)
GET = b"GET /cds-services HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /cds-services/a HTTP/1.1\r\nHost: x\r\n"


def cut(*parts: bytes, limits: Limits = LIMITS) -> list[Request | int]:
    """The requests in what came part by part, and what was refused at the end."""
    stream, found = Stream(limits), []
    for part in parts:
        stream.feed(part)
        try:
            while request := stream.next():
                found.append(request)
                if request.cut:
                    return found
        except Refused as refused:
            return [*found, refused.status]
    return found


def bodies(*parts: bytes, limits: Limits = LIMITS) -> list[bytes | int]:
    return [
        each.parts[1] if isinstance(each, Request) else each
        for each in cut(*parts, limits=limits)
    ]


# What is a request


def test_a_request_is_whole_with_its_last_byte_and_not_before() -> None:
    message = POST + b"Content-Length: 2\r\n\r\n{}"
    stream = Stream(LIMITS)

    for number in range(len(message) - 1):
        stream.feed(message[number : number + 1])
        assert stream.next() is None
    stream.feed(message[-1:])

    fields = (("host", "x"), ("content-length", "2"))
    head = Head(fields, 2, expects=False, target="/cds-services/a")
    assert stream.next() == Request(head, (message[:-2], b"{}"), cut=False)
    assert stream.next() is None
    assert stream.held == 0


def test_requests_that_come_together_are_told_apart() -> None:
    sized = POST + b"Content-Length: 3\r\n\r\nGET"
    in_chunks = (
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
    )

    assert bodies(GET + sized + in_chunks + GET) == [
        b"",
        b"GET",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"",
    ]


def test_chunks_are_handed_on_as_one_without_what_is_said_beside() -> None:
    body = b'01;name;other="a b"\r\na\r\n2;x=y\r\nbc\r\n0;end\r\nX-Sum: 9\r\n\r\n'

    assert bodies(POST + b"Transfer-Encoding: Chunked\r\n\r\n" + body) == [
        b"3\r\nabc\r\n0\r\n\r\n"
    ]


def test_one_empty_line_before_a_request_is_read_over() -> None:
    assert len(cut(b"\r", b"\n" + GET)) == 1
    assert cut(b"\r\n\r\n" + GET) == [400]


def test_fields_of_one_name_are_one_list() -> None:
    head = b"GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nx-forwarded-for: \t b \r\n\r\n"
    (request,) = cut(head)

    assert isinstance(request, Request)
    assert request.head.joined("x-forwarded-for") == "a, b"
    assert request.head.joined("forwarded") == ""


# Expect: 100-continue


def waits(*parts: bytes) -> list[bool]:
    stream, told = Stream(LIMITS), []
    for part in parts:
        stream.feed(part)
        stream.next()
        told.append(stream.awaits_word())
    return told


def test_who_waits_for_a_word_gets_one_and_once() -> None:
    expecting = POST + b"Expect: 100-Continue\r\n"
    sized = expecting + b"Content-Length: 2\r\n\r\n"

    assert waits(sized[:-1], sized[-1:], b"", b"{", b"}") == [
        False,
        True,
        False,
        *[0] * 2,
    ]
    assert waits(expecting + b"Transfer-Encoding: chunked\r\n\r\n") == [True]


def test_who_does_not_wait_gets_no_word() -> None:
    sized = b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    old = b"POST / HTTP/1.0\r\n"

    assert waits(POST + sized + b"{") == [False]
    assert waits(old + sized) == [False]
    assert waits(POST + b"Expect: 100-continue\r\n\r\n") == [False]
    assert waits(POST + b"Content-Length: 2\r\n\r\n") == [False]


# What is too much


def test_a_body_that_is_too_long_is_cut_short_and_nothing_is_read_behind_it() -> None:
    sized = POST + b"Content-Length: 21\r\n\r\n"
    in_chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    (first,), (second,) = cut(sized + GET), cut(
        in_chunks + b"ff\r\n" + b"x" * 255 + GET
    )

    assert isinstance(first, Request) and isinstance(second, Request)
    assert (first.cut, first.parts[1]) == (True, b"")
    assert (second.cut, second.parts[1]) == (
        True,
        b"15\r\n" + b"x" * 21 + b"\r\n0\r\n\r\n",
    )


def test_a_body_as_long_as_the_limit_is_whole() -> None:
    sized = POST + b"Content-Length: 20\r\n\r\n" + b"x" * 20
    in_chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + b"x" * 20

    assert [each.cut for each in cut(sized) if isinstance(each, Request)] == [False]
    assert cut(in_chunks) == []
    assert len(cut(in_chunks, b"\r\n0\r\n\r\n")) == 1


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET /" + b"x" * 47 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"x" * 57, 414),
        (GET[:-2] + b"X: " + b"y" * 300, 431),
        (GET[:-2] + b"X: " + b"y" * 300 + b"\r\n\r\n", 431),
    ],
)
def test_a_head_that_is_too_long_is_refused_before_it_ends(
    message: bytes, status: int
) -> None:
    assert cut(message) == [status]
    assert cut(GET, message) == [*cut(GET), status]


def test_a_body_may_not_be_chunked_into_crumbs() -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    limits = Limits(line=60, head=300, body=10**6)
    crumbs = 2 + SPARE_OVERHEAD // 4

    assert bodies(head + b"1\r\nx\r\n" * 9 + b"0\r\n\r\n", limits=limits) != [400]
    assert bodies(head + b"1\r\nx\r\n" * crumbs, limits=limits) == [400]


def test_what_is_held_is_what_came_and_was_not_handed_on() -> None:
    stream = Stream(LIMITS)
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    stream.feed(head + b"5\r\nab")

    assert stream.next() is None
    assert stream.held == len(head) + 2


# What two could cut differently

SIZED = b"Content-Length: 2\r\n\r\n{}"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (POST + b"Content-Length: 2\r\n" + SIZED, 400),
        (POST + b"Content-Length: 44\r\n" + SIZED, 400),
        (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: +2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2_0\r\n\r\n{}", 400),
        (POST + b"Content-Length: \xb2\r\n\r\n{}", 400),
        (POST + b"Content-Length:\r\n\r\n{}", 400),
        (POST + b"Content-Length : 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2\r\n" + CHUNKED, 400),
        (POST + b"Transfer-Encoding: chunked\r\n" + SIZED, 400),
        (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n" + CHUNKED, 400),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
        (POST + b"Transfer-Encoding:\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\n" + CHUNKED, 400),
        (POST + b" Transfer-Encoding: chunked\r\n\r\n", 400),
        (POST + b"X: a\r\n folded\r\n" + SIZED, 400),
        (POST + b"X: a\n" + SIZED, 400),
        (POST + b"X: a\n\n" + SIZED, 400),
        (POST + b"X: a\r" + SIZED, 400),
        (POST + b"X: a\0b\r\n" + SIZED, 400),
        (POST + b"no field\r\n" + SIZED, 400),
        (POST + b": nameless\r\n" + SIZED, 400),
        (POST + b"X\xe9: y\r\n" + SIZED, 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET /a\tb HTTP/1.1\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"\n" + GET, 400),
        (b" " + GET, 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (POST + CHUNKED + b"zz\r\n", 400),
        (POST + CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\n{}\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"2\r\n{}xx0\r\n\r\n", 400),
        (POST + CHUNKED + b"2\n{}\n0\n\n", 400),
        (POST + CHUNKED + b"2;a=\r\n{}\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b'2;a="\r\n{}\r\n0\r\n\r\n', 400),
        (POST + CHUNKED + b"2;" + b"a" * 2000, 400),
        (POST + CHUNKED + b"0\r\nContent-Length: 9\r\n\r\n", 400),
        (POST + CHUNKED + b"0\r\nno field\r\n\r\n", 400),
    ],
)
def test_what_could_be_cut_in_two_ways_is_refused(message: bytes, status: int) -> None:
    whole = cut(message + GET)
    piecemeal = cut(*(bytes([each]) for each in message + GET))

    assert whole == [status]
    assert piecemeal == [status]


# The same requests as gunicorn's parser sees

Seen = tuple[str, str, list[tuple[str, str]], bytes]


def understand(parser: Any) -> tuple[list[Seen], bool]:
    """What gunicorn's parser reads, and whether it ends with something unreadable."""
    seen: list[Seen] = []
    try:
        for message in parser:
            body = message.body.read()
            length = dict(message.headers).get("CONTENT-LENGTH")
            if length is not None and len(body) < int(length):
                return seen, False
            seen.append((message.method, message.uri, message.headers, body))
    except Exception:
        return seen, True
    return seen, False


def understand_ours(parts: list[bytes], limits: Limits) -> tuple[list[Seen], bool]:
    """The same of what is cut out here, request by request."""
    stream, seen = Stream(limits), []
    for part in parts:
        stream.feed(part)
        while True:
            try:
                request = stream.next()
            except Refused:
                return seen, True
            if request is None:
                break
            parser: Any = RequestParser(Config(), iter(request.parts), ("::1", 1))
            found, unreadable = understand(parser)
            seen += found
            if unreadable or not found:
                return seen, True
            if parser.mesg.should_close():
                return seen, False
    return seen, False


LINES = [
    b"GET / HTTP/1.1",
    b"POST /a?b HTTP/1.1",
    b"POST /a HTTP/1.0",
    b"OPTIONS * HTTP/1.1",
]
FIELDS = [
    b"Host: x", b"Content-Length: 0", b"Content-Length: 5", b"content-length:005",
    b"Transfer-Encoding: chunked", b"transfer-encoding:\tCHUNKED ", b"TE: trailers",
    b"Content_Length: 3", b"X-Forwarded-For: 10.0.0.1", b"Connection: keep-alive",
    b"Connection: close", b"Expect: 100-continue", b"X: \xe9", b"X:",
    b"Transfer-Encoding: gzip",
    b" folded", b"Content-Length: 1, 1", b"Content-Length: \xb2", b"Upgrade: h2c",
]  # fmt: skip
BODIES = [
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n",
    b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
    b"0\r\n\r\n", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"2\nhe\r\n0\r\n\r\n",
]  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Something like a few requests behind each other, often not quite."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        lines = [draw(st.sampled_from(LINES))]
        lines += draw(st.lists(st.sampled_from(FIELDS), max_size=3))
        parts += [b"\r\n".join(lines), b"\r\n\r\n", draw(st.sampled_from(BODIES))]
    text = b"".join(parts)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        end = at + draw(st.integers(0, 2))
        change = st.sampled_from([b"", b"\r", b"\n", b"\0", b"\r\n", b" ", b"1", b":"])
        text = text[:at] + draw(change) + text[end:]
    return text


@given(messages(), st.lists(st.integers(0, 300), max_size=6))
@example(POST + b"Content-Length: 5\r\n\r\nhello" + GET, [3, 50])
@example(POST + CHUNKED + b"1;a\r\nx\r\n0\r\nA: b\r\n\r\n" + GET, [70])
@example(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + GET, [])
def test_gunicorn_sees_the_same_requests_or_we_refuse(
    text: bytes, places: list[int]
) -> None:
    cuts = [0, *sorted(min(each, len(text)) for each in places), len(text)]
    parts = [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    theirs, _ = understand(RequestParser(Config(), iter([text]), ("::1", 1)))

    ours, refused = understand_ours(parts, AMPLE)

    assert ours == (theirs[: len(ours)] if refused else theirs)


@st.composite
def good_messages(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A request that nothing is wrong with, and its body."""
    body = draw(st.binary(max_size=40))
    beside = draw(st.sampled_from([b"", b"Content_Length: 3\r\n", b"X: \xe9\r\n"]))
    head = POST + beside
    if draw(st.booleans()):
        return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body), body
    size = draw(st.integers(1, 9))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%X;a=b\r\n%s\r\n" % (len(each), each) for each in pieces)
    return head + CHUNKED + chunks + b"0\r\nX: y\r\n\r\n", body


@given(st.lists(good_messages(), max_size=4), st.integers(1, 200))
def test_every_good_request_is_understood_as_it_was_meant(
    sent: list[tuple[bytes, bytes]], size: int
) -> None:
    text = b"".join(message for message, _ in sent)
    parts = [text[at : at + size] for at in range(0, len(text), size)]

    ours, refused = understand_ours(parts, AMPLE)

    assert not refused
    assert [body for *_, body in ours] == [body for _, body in sent]


@given(messages(), st.lists(st.integers(0, 300), max_size=6))
def test_how_the_bytes_were_split_makes_no_difference(
    text: bytes, places: list[int]
) -> None:
    cuts = [0, *sorted(min(each, len(text)) for each in places), len(text)]
    parts = [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]

    found = [
        cut(*each, limits=AMPLE)
        for each in (parts, [text], [bytes([each]) for each in text])
    ]

    assert found[0] == found[1] == found[2]
