"""What rules compare and say: truths, intervals, text. Nothing knows of a chart."""

from .text import (
    format_date,
    format_duration,
    format_number,
    format_quantity,
    format_unit,
)

__all__ = [
    "format_date",
    "format_duration",
    "format_number",
    "format_quantity",
    "format_unit",
]
