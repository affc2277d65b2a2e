"""What is done to a whole database, beside serving from it."""
