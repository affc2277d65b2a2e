"""Evaluations in, cards out: what is shown, in which words, and what is held back."""
