"""The text of rule files: YAML with positions, schemas, and what is wrong with it."""
