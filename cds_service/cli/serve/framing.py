"""The bytes of one connection, cut into requests; what two could cut differently is
refused.

Nothing here knows a socket. What is cut out is read once more by gunicorn's parser,
which is given the bytes of one request and never those behind it, so that it cannot
take a part of one for the beginning of another. A chunked body is handed on as a single
chunk: its sizes, extensions and trailers are read here and nowhere else.

Source: RFC 9112 sections 2.2, 3, 5, 6 and 7.1; RFC 9110 section 10.1.1.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

LONGEST_CHUNK_LINE = 1024
"""Bytes of a chunk's size with its extensions, or of a trailer."""
SPARE_OVERHEAD = 64 * 1024
"""Bytes that the framing of chunks may take, beside as many as the body has."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(
    rb"(?P<method>"
    + _TOKEN
    + rb") (?P<target>[^\x00-\x20\x7f]+) HTTP/(?P<version>[0-9]\.[0-9])"
)
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_NO_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")
"""What stands in no head: controls, and half an end of a line."""
_LENGTH = re.compile(rb"[0-9]{1,19}")
_QUOTED = rb'"[\t\x20!\x23-\x5b\x5d-\x7e\x80-\xff]*"'
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,15})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED
    + rb"))?)*"
)  # fmt: skip
_NO_TRAILER = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"trailer", b"authorization",
     b"te")
)  # fmt: skip
"""Fields that say where a message goes or ends, or who sent it.
Source: RFC 9110 section 6.5.1."""
_END = b"\r\n"


class Refused(Exception):
    """A request that is not read, nor anything behind it: the HTTP status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may be, in bytes."""

    line: int
    """Method, target and version."""
    head: int
    body: int
    """Of a longer body only so much is read that it can be refused."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says about the rest."""

    fields: tuple[tuple[str, str], ...]
    """Names in lower case, and values."""
    length: int | None
    """Bytes of the body; None where it comes in chunks."""
    expects: bool
    """Whether the sender waits for ``100 Continue`` before it sends the body."""
    target: str
    """What is asked for, as it was written."""

    def joined(self, name: str) -> str:
        """Return the values of a field, in their order, as one list."""
        return ", ".join(value for each, value in self.fields if each == name)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as gunicorn's parser is to read it."""

    head: Head
    parts: tuple[bytes, bytes]
    """Its head and its body."""
    cut: bool
    """Whether the body is longer than the limit: nothing behind it can be found."""


def parse_head(text: bytes) -> Head:
    """Return what a head says, from its first line to its last, without the empty one.

    Raises:
        Refused: if it is no head, or if it says in two ways, or in none that is known,
            how long the body is.
    """
    first, *lines = text.split(_END)
    found = _REQUEST_LINE.fullmatch(first)
    if not found:
        raise Refused(400, "The request line is not HTTP.")
    version = found["version"]
    if version not in (b"1.0", b"1.1"):
        raise Refused(505, "This server speaks HTTP/1.1.")
    fields = tuple(_parse_field(line) for line in lines)
    length = _find_length(fields, modern=version == b"1.1")
    expected = [value.lower() for name, value in fields if name == b"expect"]
    return Head(
        fields=tuple(
            (name.decode(), value.decode("latin-1")) for name, value in fields
        ),
        length=length,
        expects=version == b"1.1" and b"100-continue" in expected and length != 0,
        target=found["target"].decode("latin-1"),
    )


def _parse_field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(line)
    if not found:
        raise Refused(400, "A line of the head is not a field.")
    return found[1].lower(), found[2].strip(b" \t")


def _find_length(
    fields: tuple[tuple[bytes, bytes], ...], *, modern: bool
) -> int | None:
    """Bytes of the body; None where it comes in chunks."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        known = [each.strip(b" \t").lower() for each in b",".join(codings).split(b",")]
        if lengths or not modern or known.count(b"chunked") > 1:
            raise Refused(400, "The length of the body is unclear.")
        if known != [b"chunked"]:
            raise Refused(501, "The only transfer coding is chunked.")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise Refused(400, "The length of the body is unclear.")
    return int(lengths[0])


class Stream:
    """What came on one connection and was not handed on yet."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        """Bytes of the buffer in which no end of a head was found."""
        self._start = b""
        self._chunks: _Chunks | None = None
        self._told = False
        self.head: Head | None = None
        """Of the request that is arriving, once it is whole."""

    @property
    def held(self) -> int:
        """Bytes that are kept of what came."""
        chunks = self._chunks
        return (
            len(self._buffer) + len(self._start) + (len(chunks.data) if chunks else 0)
        )

    def feed(self, data: bytes) -> None:
        """Add what came next."""
        self._buffer += data

    def awaits_word(self) -> bool:
        """Check, once a request, whether the sender waits to be told to go on.

        Who sends its body all the same does not wait.
        """
        if self._told or not self.head or not self.head.expects or self._buffer:
            return False
        self._told = True
        return True

    def next(self) -> Request | None:
        """Return the next request that is whole; None if more has to come.

        Raises:
            Refused: if what came is no request. Nothing behind it may be read.
        """
        if self.head is None:
            self._read_head()
        head = self.head
        if head is None:
            return None
        body = self._read_chunks() if head.length is None else self._read(head.length)
        if body is None:
            return None
        chunks, oversize = self._chunks, (head.length or 0) > self._limits.body
        cut = oversize or (chunks is not None and not chunks.ended)
        request = Request(head, (self._start, body), cut)
        self._start, self._chunks, self.head, self._told = b"", None, None, False
        return request

    def _read_head(self) -> None:
        buffer, limits = self._buffer, self._limits
        begin = len(_END) if buffer.startswith(_END) else 0
        end = buffer.find(_END + _END, max(begin, self._searched - 3))
        whole = end if end >= 0 else len(buffer)
        if _NO_HEAD.search(buffer, max(begin, self._searched - 2), whole):
            raise Refused(400, "The head contains characters that are not allowed.")
        line = buffer.find(_END, begin, begin + limits.line + len(_END))
        if line < 0 and len(buffer) - begin >= limits.line + len(_END):
            raise Refused(414, "The first line is too long.")
        if whole - begin > limits.head:
            raise Refused(431, "The head is too long.")
        if line == begin:
            raise Refused(400, "The request line is empty.")
        self._searched = len(buffer)
        if end < 0:
            return
        self.head = parse_head(bytes(buffer[begin:end]))
        self._start = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        self._searched = 0

    def _read(self, length: int) -> bytes | None:
        if length > self._limits.body:
            return b""
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _read_chunks(self) -> bytes | None:
        if self._chunks is None:
            self._chunks = _Chunks(self._limits.body)
        if not self._chunks.read(self._buffer):
            return None
        data = bytes(self._chunks.data)
        # One that was cut ends as well: it is longer than anybody reads.
        return (b"%x\r\n%s\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n"


class _Part(Enum):
    """What of a chunked body comes next."""

    SIZE = auto()
    DATA = auto()
    TRAILER = auto()


class _Chunks:
    """A chunked body that is arriving."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.ended = False
        self._limit = limit
        self._part = _Part.SIZE
        self._left = 0
        """Bytes of this chunk that are to come."""
        self._overhead = 0

    def read(self, buffer: bytearray) -> bool:
        """Take what there is; return whether that is all, or more than the limit.

        Raises:
            Refused: if it is not chunked as HTTP asks.
        """
        while not self.ended:
            if self._part is _Part.DATA:
                if not self._read_data(buffer):
                    return len(self.data) > self._limit
                continue
            line = _take_line(buffer)
            if line is None:
                return False
            self._overhead += len(line) + 2 * len(_END)
            if self._overhead > SPARE_OVERHEAD + len(self.data):
                raise Refused(400, "The chunks are too small.")
            if self._part is _Part.SIZE:
                self._begin_chunk(line)
            elif not line:
                self.ended = True
            elif _parse_field(line)[0] in _NO_TRAILER:
                raise Refused(400, "A trailer is not allowed.")
        return True

    def _begin_chunk(self, line: bytes) -> None:
        found = _CHUNK_LINE.fullmatch(line)
        if not found:
            raise Refused(400, "The size of a chunk cannot be read.")
        self._left = int(found[1], 16)
        self._part = _Part.DATA if self._left else _Part.TRAILER

    def _read_data(self, buffer: bytearray) -> bool:
        """Whether the chunk is whole; no more is taken than can be refused."""
        part = buffer[: min(self._left, self._limit + 1 - len(self.data))]
        self.data += part
        del buffer[: len(part)]
        self._left -= len(part)
        if self._left or len(self.data) > self._limit or len(buffer) < len(_END):
            return False
        if not buffer.startswith(_END):
            raise Refused(400, "A chunk is longer than it says.")
        del buffer[: len(_END)]
        self._part = _Part.SIZE
        return True


def _take_line(buffer: bytearray) -> bytes | None:
    """The next line, cut off; None if it has not come."""
    end = buffer.find(_END, 0, LONGEST_CHUNK_LINE)
    if end < 0 and (b"\n" in buffer or len(buffer) >= LONGEST_CHUNK_LINE):
        raise Refused(400, "A line of the chunks does not end.")
    if end < 0:
        return None
    line = bytes(buffer[:end])
    del buffer[: end + len(_END)]
    return line
