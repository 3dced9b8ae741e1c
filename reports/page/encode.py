"""JSON that is safe inside a page: in a script file, in a script element, and in a data block."""

from __future__ import annotations

import base64
import gzip
import hashlib
from typing import Any

import msgspec


def json_text(value: Any) -> bytes:
    """JSON whose strings end no script element and no line of JavaScript.

    `<`, `>` and `&` occur in strings only, so that replacing them by escapes keeps the value; U+2028 and U+2029 are
    line ends in old JavaScript.
    """
    data: bytes = msgspec.json.encode(value)
    for char, escape in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        data = data.replace(char, escape)
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


def data_script(name: str, value: Any) -> bytes:
    """A script file that hands `value` to the page under `name`.

    The value travels as a string for `JSON.parse`: it is faster than an object literal, and a key `__proto__` stays a
    key.
    """
    text = json_text(value).decode()
    return b"UMM.receive(" + json_text(name) + b"," + json_text(text) + b");\n"


def packed(value: Any) -> str:
    """Gzip, base64: for values inside a single file."""
    return base64.b64encode(gzip.compress(json_text(value), compresslevel=6, mtime=0)).decode()


def csp_hash(text: str) -> str:
    """The source expression that allows exactly this inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
