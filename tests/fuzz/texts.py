"""Texts that have broken programs: what the fuzzers put wherever a text of others may stand."""

from __future__ import annotations

from random import Random

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1+1",
    "'=1",
    "''",
    "=cmd|'/c calc'!A1",
    '=HYPERLINK("http://evil","x")',
)
MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "--><svg/onload=alert(1)>",
    "]]><x/>",
    "&lt;&#60;&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "`](javascript:alert(1)) | ![x](http://evil) <details>",
    "::set-output name=x::y",
    "::error::injected",
)
ODD = (
    "\u202eright to left\u2066",
    "e\u0301\u0323" * 30,
    "\u200b\u200d\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\x00",
    "\x7f\x85\u2028\u2029\x0b\x0c",
    "line\nbreak\r\nand\rreturn",
    "\"quoted\" 'single' ,;\t|",
    "\ufffe\uffff",
    "\udcff",
    "\\u0000\\x00%00",
    "..",
    "../../etc/passwd",
    "CON",
    "NaN",
    "null",
    "007",
    "1e999",
    "9" * 400,
    "",
    " ",
    "~",
    "%s%n{0}",
)
TEXTS = FORMULAS + MARKUP + ODD


def hostile_text(random: Random, *, characters_max: int = 4_000) -> str:
    """One such text, some of them together, or any characters at all; now and then a long one."""
    way = random.random()
    if way < 0.6:
        return random.choice(TEXTS)
    if way < 0.8:
        return "".join(random.choices(TEXTS, k=random.randint(2, 4)))
    if way < 0.95:
        points = [random.choice((0x20, 0x7F, 0x600, 0x2000, 0xD7FF, 0x10FFFF)) for _ in range(8)]
        text = "".join(chr(random.randint(0, point)) for point in points)
        return text.encode("utf-16", "replace").decode("utf-16")
    piece = random.choice(TEXTS) or "x"
    return (piece * random.randint(1, characters_max))[: random.randint(1, characters_max)]
