"""What hostile answers say: their headers and bodies, before these are packed and framed."""

from __future__ import annotations

import json
from email.utils import formatdate
from random import Random

from tests.fuzz.canary import echoed
from tests.fuzz.texts import hostile_text

RUN = "7f1c2b3a-0000-4000-8000-00000000abcd"
RUN_IDS: tuple[object, ...] = (
    *(RUN, RUN.upper(), f" {RUN}\n", f"{{{RUN}}}", f"urn:uuid:{RUN}", RUN.replace("-", "")),
    *(RUN[:-1], RUN + "0", RUN.replace("7", "\uff17"), f"{RUN}\0", "", " ", "null", "../../x"),
    *(None, True, 7, 1e308, [RUN], {"id": RUN}, [], {}, 10**400),
)
SIGNAL_NAMES = (
    *("Retry-After", "RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining"),
    *("RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    *("X-Rate-Limit-Reset", "X-RateLimit-Remaining-Minute", "Date", "Date", "Retry-After"),
)
NUMBERS = (
    *(
        "0",
        "1",
        "-1",
        "+5",
        "3.5",
        "1e9",
        "NaN",
        "inf",
        "-0",
        "00",
        "0x10",
        " 7 ",
        "1,000",
        "1;w=60",
    ),
    *("9" * 18, "9" * 19, "9" * 400, "9" * 5_000, "\u0663", "1_0", "2147483648", "1790035200"),
    *("1790035200000", "99999999999", "6m0s", "1h999999m", "999999h999999m999999s", "20ms", "s"),
)
DATES = (
    *("Tue, 22 Sep 2026 00:00:00 GMT", "Tue, 22 Sep 0001 00:00:00 GMT", "22 Sep 99999 00:00:00"),
    *("Tue, 22 Sep 2026 99:99:99 GMT", "Tue, 22 Sep 2026 00:00:00 +9999", "Sunday, 06-Nov-94", ","),
    *(
        "Tue, 31 Feb 2026 00:00:00 GMT",
        "2026-09-22T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9" * 99,
    ),
    *(
        "Tue, -1 Sep 2026 00:00:00 GMT",
        "Tue Sep 22 00:00:00 2026",
        "9999-12-31T23:59:59.999999-23:59",
    ),
)
POLICIES = (
    '"a";r=50;t=30, "b";r=0;t=99999999999999999999',
    '"' * 150,
    ",".join(['"'] * 90),
    "limit=100, remaining=50, reset=30",
    "limit=, remaining=, reset=",
    '"a;b";q=;w=, "',
    ";" * 190,
    '"x";r=-1;t=-1',
    ",,,,;;;;====",
)
LOCATIONS = ("/", "//", "http://[::1", "x:y", "http://xn--/", "javascript:0", "\x7f", "?" * 3_000)


def headers(random: Random) -> list[str]:
    """Header lines: signals that make no sense, echoes of the key, cookies, too many of them."""
    lines = []
    for _ in range(random.choice((0, 1, 2, 3, 8))):
        variant = random.random()
        if variant < 0.5:
            value = random.choice(
                (random.choice(NUMBERS), random.choice(DATES), random.choice(POLICIES))
            )
            if random.random() < 0.1:
                value = hostile_text(random)
            lines.append(f"{random.choice(SIGNAL_NAMES)}: {value}")
        elif variant < 0.6:
            lines.append(f"Date: {formatdate(random.uniform(0, 4e9), usegmt=True)}")
        elif variant < 0.7:
            lines.append(
                f"Location: {random.choice((*LOCATIONS, echoed(random), hostile_text(random)))}"
            )
        elif variant < 0.78:
            cookie = random.choice(("a=b; Path=/", hostile_text(random), echoed(random)))
            lines.append(f"Set-Cookie: {cookie}")
        elif variant < 0.9:
            name = random.choice((*SIGNAL_NAMES, "X-Echo", "Server", "WWW-Authenticate"))
            before = " " * random.randrange(3) + "p" * random.choice((0, 0, 185))
            lines.append(f"{name}: {before}{echoed(random)}")
        elif variant < 0.97:
            name = random.choice(
                (
                    "X-RateLimit-" + echoed(random),
                    hostile_text(random),
                    "",
                    " X",
                    "X Y",
                    "X" * 9_000,
                )
            )
            lines.append(f"{name}: {hostile_text(random)}")
        else:
            lines += [f"X-RateLimit-{n}: {n}" for n in range(random.choice((30, 400, 9_000)))]
    return lines


def body(random: Random) -> bytes:
    """A body: what was promised with one thing or all things wrong in it, or something else."""
    variant = random.random()
    if variant < 0.1:
        return random.choice(
            (b"", b"null", b"[]", b"{", b'"', b"\xff\xfe", b"[" * 60_000, b"9" * 5_000)
        )
    if variant < 0.2:
        text = random.choice(
            (hostile_text(random), echoed(random), f"<html>{echoed(random)}</html>")
        )
        return text.encode(random.choice(("utf-8", "utf-16", "latin-1")), "replace")
    if variant < 0.24:
        return b'{"message": "' + b"x" * random.choice((60_000, 300_000)) + b'"}'
    fields: dict[str, object] = {
        "status": "queued",
        "runId": random.choice(RUN_IDS[:3]),
        "testId": RUN,
    }
    if random.random() < 0.5:
        fields["runId"] = random.choice((*RUN_IDS, echoed(random)))
    if random.random() < 0.5:
        fields["error"] = random.choice(
            ("rate_limited", "insufficient_quota", hostile_text(random), echoed(random), 7, None)
        )
        fields["message"] = random.choice((hostile_text(random), echoed(random), 1e300, [], True))
    if random.random() < 0.1:
        fields["error"] = {"code": hostile_text(random), "message": echoed(random)}
    if random.random() < 0.3:
        fields |= {"runs": [_row(random) for _ in range(random.choice((0, 1, 3, 100)))]}
        fields["nextCursor"] = random.choice(
            (None, "", "abc", 7, hostile_text(random), echoed(random))
        )
    text = json.dumps(fields, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.1:  # a string that JSON's own escapes spell out
        text = text.replace('"status": "queued"', f'"message": "{echoed(random)}"')
    return text.encode(
        random.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-32-le")), "replace"
    )


def _row(random: Random) -> object:
    if random.random() < 0.05:
        return random.choice((None, [], "x", 7, {}))
    row: dict[str, object] = {"id": RUN, "testId": RUN, "createdAt": "2026-09-22T00:00:00Z"}
    for name in random.sample(("id", "testId", "createdAt", "platform", "input", "status"), 2):
        row[name] = random.choice(
            (*RUN_IDS, *DATES, hostile_text(random), {"appId": 7}, echoed(random))
        )
    return row
