"""A rulebook, a chart and a time in; evaluations with their reasons out."""
