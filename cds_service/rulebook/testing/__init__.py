"""The tests beside rules: examples, mutants, coverage, and what a rule must have."""
