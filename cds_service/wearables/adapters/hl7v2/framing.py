"""MLLP: what stands around each message of HL7 v2 on a connection. Pure.

A message begins with VT and ends with FS, after which there is a CR. What stands
between messages is nothing; a VT within one begins it anew, as whoever sent it has.

Source: HL7 2.5.1 appendix C; "Transport Specification: MLLP, Release 1".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

START, END, RETURN = b"\x0b", b"\x1c", b"\r"


class FrameTooLarge(Exception):
    """A message that is longer than it may be, as far as it came."""

    def __init__(self, begun: bytes) -> None:
        super().__init__("a message is too large")
        self.begun = begun


def frame(message: bytes) -> bytes:
    """Return a message as it goes over a connection."""
    return START + message + END + RETURN


@dataclass(slots=True)
class Frames:
    """The messages of one connection."""

    limit: int
    """Bytes of a message."""
    _begun: bytearray | None = field(default=None, repr=False)
    """Of a message that is not whole; None between messages."""
    ignored: int = 0
    """Bytes that stood between messages; what ends them is not counted."""

    @property
    def is_within(self) -> bool:
        """Whether a message has begun and is not whole."""
        return self._begun is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are whole with what has come now.

        Raises:
            FrameTooLarge: if one is longer than the limit.
        """
        for part in _split(data):
            if part == START:
                self._begun = bytearray()
            elif self._begun is None:
                self.ignored += len(part.strip(b"\r\n\x1c"))
            elif part == END:
                whole, self._begun = bytes(self._begun), None
                yield whole
            else:
                self._begun += part
                if len(self._begun) > self.limit:
                    raise FrameTooLarge(bytes(self._begun[: self.limit]))


def _split(data: bytes) -> Iterator[bytes]:
    """Yield the data in parts: what begins and what ends a message, and the rest."""
    begin = 0
    while begin < len(data):
        marks = (data.find(START, begin), data.find(END, begin))
        place = min((each for each in marks if each >= 0), default=len(data))
        if place > begin:
            yield data[begin:place]
        if place < len(data):
            yield data[place : place + 1]
        begin = place + 1
