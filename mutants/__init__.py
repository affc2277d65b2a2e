"""The Python that decides is mutated, and its tests must notice: ``make mutants``."""
