"""The database: one schema on SQLite and PostgreSQL."""
