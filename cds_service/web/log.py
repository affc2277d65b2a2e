"""The log: a line of JSON an event, on standard output.

It stands by itself, since what only watches or delivers has one as well, and is not to
import a whole server for it.
"""

import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import orjson
import structlog


def say(event: str, **facts: object) -> None:
    """Write a line to the log of this process."""
    build_logger(sys.stdout.buffer).info(event, **facts)


def build_logger(log: BinaryIO) -> structlog.typing.FilteringBoundLogger:
    """Return a log of one line of JSON an event."""
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(log),
        wrapper_class=structlog.make_filtering_bound_logger(0),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(serializer=_serialize),
        ],
    )
    return logger


def _serialize(event: Mapping[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event)
