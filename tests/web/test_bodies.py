import io

import pytest
from flask import Flask

from cds_service.protocol.errors import InvalidRequest, TooLarge, UnsupportedMediaType
from cds_service.web.json import read_body

LIMIT = 100


def read(body: bytes, content_type: str = "application/json", **more: str) -> bytes:
    app = Flask(__name__)
    with app.test_request_context(
        "/", method="POST", data=body, content_type=content_type, headers=more
    ):
        return read_body(LIMIT)


def read_chunked(body: bytes) -> bytes:
    app = Flask(__name__)
    with app.test_request_context(
        "/",
        method="POST",
        content_type="application/json",
        input_stream=io.BytesIO(body),
        environ_overrides={"wsgi.input_terminated": True},
        headers={"Transfer-Encoding": "chunked"},
    ):
        return read_body(LIMIT)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8; profile=x",
        "application/fhir+json",
        "Application/JSON",
    ],
)
def test_q_14_json_is_read_with_any_parameters(content_type: str) -> None:
    assert read(b"{}", content_type) == b"{}"


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml", "json"])
def test_q_14_other_media_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"{}", content_type)


def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        read(b"\x1f\x8b", **{"Content-Encoding": "gzip"})


def test_q_15_a_body_up_to_the_limit_is_read_and_one_byte_more_refused() -> None:
    assert len(read(b"x" * LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        read(b"x" * (LIMIT + 1))


def test_q_15_a_body_without_a_length_is_counted() -> None:
    assert len(read_chunked(b"x" * LIMIT)) == LIMIT
    for excess in (1, 2, 100_000):
        with pytest.raises(TooLarge):
            read_chunked(b"x" * (LIMIT + excess))


def test_a_body_that_broke_off_is_refused_even_where_its_part_is_json() -> None:
    app = Flask(__name__)
    with app.test_request_context(
        "/",
        method="POST",
        content_type="application/json",
        input_stream=io.BytesIO(b"{}"),
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": "3"},
    ):
        with pytest.raises(InvalidRequest, match="ended early"):
            read_body(LIMIT)
