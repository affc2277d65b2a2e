"""References that cards bear, and what is kept behind each for some hours."""
