"""What helps to write rule files: first drafts, one style, schemas for editors."""
