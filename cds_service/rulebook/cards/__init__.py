"""Evaluations in, cards out: what is shown, in which words, and what is held back."""

from .cards import BuiltCard, draft_cards, identify, settle_actions
from .suggestions import target_of
from .suppression import (
    HELD_BACK_EXTENSION,
    Held,
    Suppressed,
    decide,
    held_back_extension,
    look_back,
    may_be_held,
    say_held_back,
    stamp,
)

__all__ = [
    "BuiltCard",
    "HELD_BACK_EXTENSION",
    "Held",
    "Suppressed",
    "decide",
    "draft_cards",
    "held_back_extension",
    "identify",
    "look_back",
    "may_be_held",
    "say_held_back",
    "settle_actions",
    "stamp",
    "target_of",
]
