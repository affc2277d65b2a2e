"""The rule language: YAML files in, evaluations and cards out. Pure, but for load."""
