"""What rules do and what changed in them, for people and for tools."""
