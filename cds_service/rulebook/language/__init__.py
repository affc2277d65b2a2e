"""The text of rule files: YAML with positions, schemas, and what is wrong with it."""

from .detectors import DetectorTree
from .diagnostics import (
    Finding,
    Findings,
    Level,
    closest,
    printable,
    quote,
    render,
    suggest,
)
from .document import Document
from .json_source import parse_json
from .pages import read_page, titles
from .schemas import NAMES, bundle, check_shape
from .source import SIZE_LIMIT, parse_yaml
from .tree import RuleTree

__all__ = [
    "DetectorTree",
    "Document",
    "Finding",
    "Findings",
    "Level",
    "NAMES",
    "RuleTree",
    "SIZE_LIMIT",
    "bundle",
    "check_shape",
    "closest",
    "parse_json",
    "parse_yaml",
    "printable",
    "quote",
    "read_page",
    "render",
    "suggest",
    "titles",
]
