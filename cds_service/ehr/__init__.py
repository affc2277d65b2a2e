"""An EHR that acts: it discovers, signs, fills prefetch, calls and keeps the answer."""
