"""What helps to write rule files: first drafts, one style, schemas for editors."""

from .detector_scaffold import (
    DetectorAnswers,
    choose_metric,
    choose_raised,
    detector_cases,
    detector_text,
    read_length,
)
from .format import NotPlain, format_text
from .project import modeline, project_schema, schema_folder, with_modeline
from .scaffold import (
    Answers,
    Slip,
    Stock,
    WrittenLimit,
    build_stock,
    check_answers,
    parse_limit,
)
from .scaffold_text import cases_text, rule_name, rule_text

__all__ = [
    "Answers",
    "DetectorAnswers",
    "WrittenLimit",
    "NotPlain",
    "Slip",
    "Stock",
    "build_stock",
    "cases_text",
    "check_answers",
    "choose_metric",
    "choose_raised",
    "detector_cases",
    "detector_text",
    "format_text",
    "modeline",
    "parse_limit",
    "project_schema",
    "read_length",
    "rule_name",
    "rule_text",
    "schema_folder",
    "with_modeline",
]
