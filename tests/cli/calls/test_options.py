"""The command line of a call."""

from pathlib import Path

import click
import pytest

from cds_service.cli.calls.options import read_context


def test_more_context_is_json_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "context.json"
    file.write_text('{"a": 1}')

    assert read_context(f"@{file}") == read_context('{"a": 1}') == {"a": 1}
    assert read_context("") == {}
    for wrong in ("[1]", "{", "@/nowhere/at/all"):
        with pytest.raises(click.UsageError, match="--context"):
            read_context(wrong)
