"""Deliveries of samples, as the tests of samples make them."""

from ..samples.conftest import deliver, make_sample

__all__ = ["deliver", "make_sample"]
