"""A key that must show nowhere: the forms in which a server may echo it, and a search for them.

The search knows nothing of how the product scrubs: it undoes encodings and looks.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from random import Random
from urllib.parse import quote, unquote_to_bytes

CANARY = "sk_canary_9f+Q/z~'\"\\<&Xk27"
# So much of it in one piece is found; a beginning that many keys share is no secret.
PIECE = 14


def _bytes_in_json(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


FORMS = (
    lambda key, random: key,
    lambda key, random: f"Bearer {key}",
    lambda key, random: json.dumps(key)[1:-1],
    lambda key, random: json.dumps(json.dumps(key))[1:-1],
    lambda key, random: _bytes_in_json(key),
    lambda key, random: "".join(random.choice((char, f"\\u{ord(char):04X}")) for char in key),
    lambda key, random: quote(key, safe=""),
    lambda key, random: quote(quote(f"Bearer {key}", safe=""), safe=""),
    lambda key, random: "".join(random.choice((char, f"%{ord(char):02x}")) for char in key),
    lambda key, random: html.escape(key),
    lambda key, random: "".join(f"&#{ord(char)};" for char in key),
    lambda key, random: "".join(f"&#x{ord(char):x};" for char in key),
    lambda key, random: repr({"Authorization": f"Bearer {key}"}),
    lambda key, random: repr(f"Bearer {key}".encode()),
    lambda key, random: key.upper(),
    lambda key, random: key.encode().hex(),
    lambda key, random: base64.b64encode(_around(key, random)).decode(),
    lambda key, random: base64.urlsafe_b64encode(_around(key, random)).decode(),
)


def _around(key: str, random: Random) -> bytes:
    return b"x" * random.randrange(4) + key.encode() + b"y" * random.randrange(4)


def echoed(random: Random) -> str:
    """The canary, in any form a server might write it."""
    return random.choice(FORMS)(CANARY, random)


def shows_canary(content: str | bytes) -> bool:
    """Whether the canary, or a good piece of it, can be read out of a text or file."""
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    pieces = {CANARY[at : at + PIECE].lower().encode() for at in range(len(CANARY) - PIECE + 1)}
    return any(piece in plain for plain in map(bytes.lower, _readings(content)) for piece in pieces)


def _readings(content: bytes) -> Iterator[bytes]:
    yield content
    content = content.replace(b"\0", b"")  # UTF-16 and UTF-32
    undone = content
    for _ in range(3):
        undone = unquote_to_bytes(undone)
        undone = html.unescape(undone.decode("latin-1")).encode("latin-1", "replace")
        undone = re.sub(rb"\\+u00(..)", lambda match: _byte(match[1]), undone)
        yield undone
        yield re.sub(rb"\\+(.)", rb"\1", undone)
    for run in re.findall(rb"[0-9a-fA-F]{24,}", content):
        for at in range(2):
            yield binascii.unhexlify(run[at : at + (len(run) - at) // 2 * 2])
    for run in re.findall(rb"[A-Za-z0-9+/_-]{18,}", content):
        usual = run.translate(bytes.maketrans(b"-_", b"+/"))
        for at in range(4):
            part = usual[at : at + (len(usual) - at) // 4 * 4]
            yield base64.b64decode(part)


def _byte(digits: bytes) -> bytes:
    try:
        return bytes([int(digits, 16)])
    except ValueError:
        return digits
