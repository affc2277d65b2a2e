"""The yardsticks: a bare Flask app that parses a body and returns a card.

It checks nothing and knows no rules. Where a database is named it records one row a
call, which is durable before the answer leaves: the least that any server does that
must not show what it cannot account for. That is the ceiling.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
from flask import Flask, Response, request

TABLE = "CREATE TABLE IF NOT EXISTS calls (at TEXT, body TEXT)"
Record = Callable[[bytes], None]


def create_app() -> Flask:
    """The app: ``BENCH_ANSWER`` names the file with the answer to give, and
    ``BENCH_DATABASE`` where to record it; empty for nowhere.
    """
    app = Flask(__name__)
    answer = orjson.loads(Path(os.environ["BENCH_ANSWER"]).read_bytes())
    database = os.environ.get("BENCH_DATABASE", "")
    record = build_record(database) if database else None

    @app.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        orjson.loads(request.get_data())
        body = orjson.dumps(answer)
        if record:
            record(body)
        return Response(body, mimetype="application/json")

    return app


def build_record(database: str) -> Record:
    """What records an answer in a file, or on a server of PostgreSQL."""
    if database.startswith("postgresql"):
        return record_on_server(database.replace("+psycopg", ""))
    return record_in_file(database)


def record_in_file(file: str) -> Record:
    """One writes at a time, as SQLite has it."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(TABLE)
    lock = threading.Lock()

    def record(body: bytes) -> None:
        with lock:
            row = (datetime.now(UTC).isoformat(), body.decode())
            connection.execute("INSERT INTO calls VALUES (?, ?)", row)

    return record


def record_on_server(url: str) -> Record:
    """Each thread has a connection."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
    own = threading.local()

    def record(body: bytes) -> None:
        if not hasattr(own, "connection"):
            own.connection = psycopg.connect(url, autocommit=True)
        row = (datetime.now(UTC).isoformat(), body.decode())
        own.connection.execute("INSERT INTO calls VALUES (%s, %s)", row)

    return record
