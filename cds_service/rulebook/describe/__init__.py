"""What rules do and what changed in them, for people and for tools."""

from .chart_coverage import Recognition, RecordEntry, Survey, Surveyor
from .detectors.difference import compare_detectors
from .detectors.page import DetectorPage, build_detector_page
from .difference import RuleDifference, compare_books, compare_settings
from .explain import (
    TraceLine,
    explain,
    explain_json,
    reason_json,
    source_json,
    trace,
)
from .list_comparison import (
    Comparison,
    InSystem,
    NoList,
    compare_with,
    concepts_of,
    read_list,
)
from .meaning import RuleFile, criteria_of, uses_of
from .page_json import page_json
from .rule_difference import Book
from .rule_markdown import detector_markdown, index_markdown, markdown
from .rule_page import Page, build_page, build_served_page
from .valueset_uses import Part, ingredients_in, parts_of, rules_by_valueset
from .versions import Change, VersionStep
from .why import why_json

__all__ = [
    "Book",
    "Change",
    "Comparison",
    "DetectorPage",
    "RecordEntry",
    "InSystem",
    "NoList",
    "Page",
    "Part",
    "RuleDifference",
    "RuleFile",
    "VersionStep",
    "Survey",
    "Surveyor",
    "TraceLine",
    "Recognition",
    "build_detector_page",
    "build_page",
    "build_served_page",
    "compare_books",
    "compare_detectors",
    "compare_settings",
    "compare_with",
    "concepts_of",
    "criteria_of",
    "detector_markdown",
    "explain",
    "explain_json",
    "index_markdown",
    "ingredients_in",
    "markdown",
    "page_json",
    "parts_of",
    "read_list",
    "reason_json",
    "rules_by_valueset",
    "source_json",
    "trace",
    "uses_of",
    "why_json",
]
