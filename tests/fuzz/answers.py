"""Hostile answers of a server, each made from a number alone: bytes, and how they are sent."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.fuzz.canary import echoed, shows_canary
from tests.fuzz.messages import body as make_body
from tests.fuzz.messages import headers
from tests.fuzz.texts import hostile_text

Ending = Literal["keep", "close", "reset", "hold", "endless"]


@dataclass(frozen=True, slots=True)
class Script:
    """What a server sends: its pieces, the pause before each but the first, and what then.

    `keep`: waits for the next request; `hold`: sends nothing more and keeps the connection;
    `endless`: the last piece again and again.
    """

    pieces: tuple[bytes, ...]
    pause_s: float
    ending: Ending

    @property
    def content(self) -> bytes:
        """All that is sent at least once."""
        return b"".join(self.pieces)


STATUSES = (
    *("200", "201", "202", "202", "202", "202", "204", "205", "206", "299", "300", "301", "302"),
    *("303", "304", "307", "308", "400", "401", "402", "403", "404", "405", "408", "409", "413"),
    *("418", "422", "429", "429", "429", "429", "431", "451", "499", "500", "502", "503", "504"),
    *("511", "520", "599", "600", "999", "100", "101", "102", "103", "199", "000", "099", "42"),
    *("1000", "-1", "+429", "0x1ad", "4 29", "", "429.0", "\u0664\u0662\u0669"),
)
VERSIONS = ("HTTP/1.1",) * 12 + ("HTTP/1.0", "HTTP/0.9", "HTTP/2", "http/1.1", "HTTP/1.1.1", "ICY")
NOT_HTTP = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x15\x03\x01\x00\x02\x02\x28",
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    b"220 smtp ready\r\n",
    b"\r\n\r\n\r\n",
    b"\n" * 3_000,
    b"<html>",
    b"HTTP",
    b"HTTP/1.1",
    b"HTTP/1.1 202",
    b"\0" * 500,
    b"",
)


def make_answer(seed: int, turn: int = 0) -> Script:
    """The answer of this number; `turn` 1 is the next one on the same connection."""
    random = Random(f"answer {seed} {turn}")
    if random.random() < 0.04:
        junk = random.choice((random.choice(NOT_HTTP), random.randbytes(random.randint(1, 2_000))))
        return Script((junk,), 0.0, _ending(random))
    before = b""
    if random.random() < 0.04:
        interim = f"HTTP/1.1 {random.choice((100, 102, 103))} Wait\r\nLink: x\r\n\r\n".encode()
        before = interim * random.choice((1, 3, 2_000))
    head, body = _message(random, tame=random.random() < 0.7)
    # A key that is changed or cut in transit is another text; no search for it would end.
    whole = shows_canary(head + body)
    if random.random() < 0.05 and not whole:
        head, body = _bytes_changed(random, head), _bytes_changed(random, body)
    return _delivery(random, before + head, body, whole=whole)


def _delivery(random: Random, head: bytes, body: bytes, *, whole: bool) -> Script:
    variant = random.random() * (0.8 if whole else 1.0)
    if variant < 0.8:
        return Script((head + body,), 0.0, _ending(random))
    content = head + body
    if variant < 0.86:  # cut anywhere
        return Script((content[: random.randint(0, len(content))],), 0.0, _ending(random))
    if variant < 0.94:  # in pieces
        at = sorted(random.randint(0, len(content)) for _ in range(random.randint(1, 5)))
        cuts = zip([0, *at], [*at, len(content)], strict=True)
        return Script(tuple(content[i:j] for i, j in cuts), 0.0, _ending(random))
    if variant < 0.96:  # a drip
        drops = tuple(content[i : i + 1] for i in range(min(len(content), 60)))
        return Script(drops, 0.03, "hold")
    again = random.choice(
        (b"x" * 30_000, b"HTTP/1.1 100 Go on\r\n\r\n", b"X: y\r\n", b"1\r\nx\r\n")
    )
    return Script((random.choice((head, head[:-2], b"")), again), 0.0, "endless")


def _ending(random: Random) -> Ending:
    return (
        random.choice(("keep", "close", "close", "close", "reset"))
        if random.random() < 0.97
        else "hold"
    )


def _message(random: Random, *, tame: bool) -> tuple[bytes, bytes]:
    """Head and body of one answer; a tame one is HTTP, so that what it says is read."""
    status = random.choice(STATUSES)
    reason = random.choice(("OK", "OK", "", "x" * 5_000, hostile_text(random), echoed(random)))
    lines = [f"{random.choice(VERSIONS)} {status} {reason}"]
    body = make_body(random)
    if random.random() < 0.06:
        body, encoding = _packed(random, body)
        lines.append(f"Content-Encoding: {encoding}")
    lines += headers(random)
    if tame:
        lines = [f"HTTP/1.1 {status if re.fullmatch('[2-9][0-9][0-9]', status) else 202} OK"] + [
            f"{name}:{re.sub('[^ -~]', '?', value)}"
            for name, _, value in (line.partition(":") for line in lines[1:])
            if re.fullmatch("[A-Za-z-]+", name)
        ]
    variant = random.choice((0.0, NO_LENGTH)) if shows_canary(body) else random.random()
    framing, body = _framed(random, body, variant=0.0 if tame else variant)
    lines += framing
    line_end = "\n" if random.random() < 0.03 else "\r\n"
    head = line_end.join([*lines, "", ""])
    return head.encode(random.choice(("utf-8", "latin-1")), "replace"), body


def _packed(random: Random, body: bytes) -> tuple[bytes, str]:
    encoding = random.choice(("gzip", "deflate", "x-gzip", "GZIP", "br", "zstd", "gzip, gzip", "x"))
    variant = random.random() * (0.5 if shows_canary(body) else 1.0)
    if variant < 0.3:
        return gzip.compress(body), encoding
    if variant < 0.5:
        return zlib.compress(body), encoding
    if variant < 0.7:
        return gzip.compress(body)[: random.randint(0, 60)], encoding
    if variant < 0.8:
        return BOMB, "gzip"
    return body, encoding


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b"x" * (1 << 20)) for _ in range(64)) + packer.flush()


BOMB = _bomb()


NO_LENGTH = 0.8


def _framed(random: Random, body: bytes, variant: float) -> tuple[list[str], bytes]:
    """The headers that say how long the body is, rightly or not, and the body as it is sent."""
    if variant < 0.6:
        return [f"Content-Length: {len(body)}"], body
    if variant < 0.7:
        length = random.choice(
            (
                len(body) + 7,
                max(0, len(body) - 7),
                -1,
                "1e3",
                "0x10",
                "",
                "9" * 30,
                "5, 5",
                "5, 6",
                "٣",
            )
        )
        return [f"Content-Length: {length}"], body
    if variant < 0.75:
        return [f"Content-Length: {len(body)}", f"Content-Length: {len(body) + 1}"], body
    if variant <= NO_LENGTH:
        return [], body
    both = [f"Content-Length: {len(body)}"] if random.random() < 0.2 else []
    coding = random.choice(
        ("chunked",) * 6 + ("chunked, chunked", "gzip, chunked", "identity", "x")
    )
    return [*both, f"Transfer-Encoding: {coding}"], _chunked(random, body)


def _chunked(random: Random, body: bytes) -> bytes:
    sent, step = b"", random.choice((1, 7, 1_000, 100_000))
    for at in range(0, min(len(body), step * 500), step):
        piece = body[at : at + step]
        size = f"{len(piece):x}"
        if random.random() < 0.01:
            size = random.choice(
                ("-1", "g", "", "f" * 17, "f" * 40, "0x5", "1 ", f"{len(piece):x};{'e' * 300}")
            )
        sent += f"{size}\r\n".encode() + piece + b"\r\n"
    last = random.choice(
        (b"0\r\n\r\n",) * 8
        + (b"", b"0\r\n", b"00000\r\nX-T: y\r\n\r\n", b"0\r\n" + b"T: x\r\n" * 500)
    )
    return sent + last


def _bytes_changed(random: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        if changed:
            changed[random.randrange(len(changed))] = random.getrandbits(8)
    return bytes(changed)
