"""The database: its schema, and what is written and asked of it."""
