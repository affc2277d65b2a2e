"""The yardstick: a bare Flask app that parses the same body and returns the same card.

It checks nothing, knows no rules and records nothing.
"""

import json
import os
from pathlib import Path

from flask import Flask, Response, jsonify, request


def create_app() -> Flask:
    """The app; ``BENCH_ANSWER`` names the file with the answer to give."""
    app = Flask(__name__)
    answer = json.loads(Path(os.environ["BENCH_ANSWER"]).read_text("utf-8"))

    @app.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        request.get_json()
        return jsonify(answer)

    return app
