"""Bodies of requests: of the right kind, and no larger than allowed."""

from flask import request
from gunicorn.http.errors import ParseException

from ..protocol.errors import InvalidRequest, TooLarge, UnsupportedMediaType

MEDIA_TYPES = {"application/json", "application/fhir+json"}


def read_body(limit: int) -> bytes:
    """The body of the current request.

    What ``Content-Length`` says is believed only to refuse; the bytes that come are
    counted, in a body of unknown length too. What came of a body that broke off may be
    JSON all the same, and is not what was meant.

    Raises:
        UnsupportedMediaType: if it does not claim to be plain JSON.
        TooLarge: if it has more than *limit* bytes.
        InvalidRequest: if it broke off, or was not chunked as HTTP asks.
    """
    if request.mimetype not in MEDIA_TYPES:
        raise UnsupportedMediaType("The Content-Type must be application/json.")
    if request.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("The body must not be compressed.")
    if (request.content_length or 0) > limit:
        raise TooLarge(f"The body has more than {limit} bytes.")
    request.max_content_length = limit + 1
    try:
        body = request.get_data(cache=False)
    except (ParseException, OSError) as error:
        raise InvalidRequest("The body broke off.") from error
    if len(body) > limit:
        raise TooLarge(f"The body has more than {limit} bytes.")
    if len(body) < (request.content_length or 0):
        raise InvalidRequest("The body broke off.")
    return body
