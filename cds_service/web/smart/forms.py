"""Forms of our own pages: only a page of this very session may send one.

Two proofs that no foreign page has: where the browser says the form came from, and a
token that only the session's own pages carry. It is made from the session's key, which
nobody else has, so that nothing has to be kept for it.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet "HMAC Based Token
Pattern", "Using Standard Headers"; W3C Fetch Metadata Request Headers.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from flask import request

FIELD = "form_token"
"""What the hidden field of a form is called."""
LONGEST_FORM = 65_536
"""Bytes. The longest of ours has a comment, of which a character takes nine at most."""
MOST_PARTS = 200


def bound_forms(longest: int = LONGEST_FORM) -> None:
    """Have no form of this request be read that is longer: it is refused with 413.

    Reading one takes many times its bytes of memory, and comes before anything is known
    of who has sent it.
    """
    request.max_content_length = longest
    request.max_form_memory_size = longest
    request.max_form_parts = MOST_PARTS


def make_form_token(key: str) -> str:
    """Return what the forms of a session carry.

    Args:
        key: The secret that the session's cookie bears.
    """
    return hmac.new(key.encode(), b"form of this session", hashlib.sha256).hexdigest()


def comes_from_here(public_url: str) -> bool:
    """Check whether the browser says that a page of this server sent the request.

    A browser that says nothing at all is not believed.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    own = {_origin(public_url), _origin(request.host_url)}
    return origin != "" and origin in own


def is_own_form(key: str, public_url: str) -> bool:
    """Check whether a page of this session sent the form that is being answered."""
    told = request.form.get(FIELD, "")
    right = hmac.compare_digest(told.encode(), make_form_token(key).encode())
    return right and comes_from_here(public_url)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
