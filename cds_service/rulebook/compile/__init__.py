"""The files of a rules folder in, a rulebook or every diagnostic out."""
