"""Finds the words of an error in an answer's body, whatever its shape. Pure.

The documented shape is `{"error": code, "message": text}`. Gateways and servers also send problem
details (RFC 9457), objects within objects, lists of errors by field, XML, HTML and plain text. The
rule for JSON: codes and sentences are known by the keys they stand under, wherever these stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

ERROR_CHARACTERS_MAX = 200
MESSAGE_CHARACTERS_MAX = 1_000
DEPTH_MAX = 8
LEAVES_MAX = 200  # an error has a handful
TEXT_CHARACTERS_MAX = 65_536  # of a page, whose words come behind its styles
_XSSI_PREFIX = b")]}'"  # before JSON that no page is to load as a script
# Keys are compared without case and separators. A code's rank: a field of its own comes before one
# that may also hold a sentence or a class of errors.
_CODE_KEYS = ("errorcode", "code", "error", "status", "faultcode", "reason", "type", "title")
_MESSAGE_KEY = re.compile(
    r".*(message|msg|details?|description|reason|summary|explanation|text|hint)"
    r"|title|errors?|fault|faultstring|info|cause"
)
_CONTAINERS = frozenset(
    {"error", "errors", "details", "violations", "issues", "fields", "invalidparams"}
)
_PLACE_KEYS = ("field", "param", "parameter", "property", "pointer", "path", "loc", "name")
_NO_CODES = frozenset({"error", "fail", "failed", "failure", "about:blank"})
_HTTP_STATUS = re.compile(r"[1-5][0-9][0-9]")
# Registered problem types mean the same at every server. `quota-exceeded` is what the RateLimit
# draft calls any limit that was exceeded: it passes with time.
_REGISTERED = "https://iana.org/assignments/http-problem-types#"
_VIOLATED = "violatedpolicies"


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """An error's first code, and its sentences; None where there is none.

    `codes` are all that may be codes, `error` the first of them. `violated` are the names of the
    rate-limit policies that the request violated, if the server says so.
    """

    error: str | None = None
    message: str | None = None
    codes: tuple[str, ...] = ()
    violated: tuple[str, ...] = ()


def error_words(body: bytes) -> ErrorWords:
    """The words of an error's body. Texts are printable and bounded."""
    if body.lstrip().startswith(_XSSI_PREFIX):
        body = body.lstrip().removeprefix(_XSSI_PREFIX).lstrip(b",\r\n")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict | list) and content:
        found = _Finder()
        found.look(content, "", 0)
        if found.codes or found.sentences or found.others or found.violated:
            return found.words()
    message = printable(_plain_text(_decoded(body)), MESSAGE_CHARACTERS_MAX)
    return ErrorWords(message=message)


def printable(value: object, characters_max: int) -> str | None:
    """A text without control characters and lone surrogates, which our files cannot hold."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    text = "".join(c if c.isprintable() else " " for c in str(value)[: characters_max * 2])
    return text.strip()[:characters_max] or None


class _Finder:
    """Walks a JSON value and collects what may be codes and sentences."""

    def __init__(self) -> None:
        self.codes: list[tuple[int, int, str]] = []  # by depth and rank
        self.sentences: list[str] = []
        self.others: list[str] = []  # under keys that say nothing
        self.violated: list[str] = []
        self._leaves = 0

    def look(
        self, value: object, key: str, depth: int, place: str = "", *, inside: bool = False
    ) -> None:
        """Look at a value under a key; `inside`: what is below is about the error."""
        if depth > DEPTH_MAX or self._leaves > LEAVES_MAX:
            return
        if isinstance(value, dict):
            place = _place(value) or place
            for name, below in value.items():
                name = str(name)
                self.look(
                    below, name, depth + 1, place, inside=inside or _folded(name) in _CONTAINERS
                )
        elif isinstance(value, list):
            for below in value:
                if inside and isinstance(below, str) and _folded(key) not in _CONTAINERS:
                    self._sentence(f"{key}: {below}")  # what is wrong with a field
                else:
                    self.look(below, key, depth + 1, place, inside=inside)
        else:
            self._leaves += 1
            self._leaf(value, key, depth, place, inside=inside)

    def _leaf(self, value: object, key: str, depth: int, place: str, *, inside: bool) -> None:
        text = printable(value, MESSAGE_CHARACTERS_MAX)
        if text is None:
            return
        folded = _folded(key)
        if folded == _VIOLATED:
            self.violated.append(text)
            return
        prose = isinstance(value, str) and " " in value.strip()
        if folded in _CODE_KEYS and not (prose and _MESSAGE_KEY.fullmatch(folded)):
            self._code(text, folded, depth)
        if _MESSAGE_KEY.fullmatch(folded) and (prose or folded not in _CODE_KEYS):
            self._sentence(f"{place}: {text}" if place and place != text else text)
        elif prose and inside and folded not in _CODE_KEYS:
            self._sentence(f"{key}: {text}")
        elif prose:
            self.others.append(f"{key}: {text}")

    def _code(self, text: str, folded: str, depth: int) -> None:
        if text.lower() in _NO_CODES or _HTTP_STATUS.fullmatch(text):
            return
        if folded == "type" and "/" in text and not text.startswith(_REGISTERED):
            text = re.split(r"[/#]", text.rstrip("/#"))[-1] or text  # a problem type is a URI
        self.codes.append((depth, _CODE_KEYS.index(folded), text))

    def _sentence(self, text: str) -> None:
        if not any(text in other for other in self.sentences):
            self.sentences = [other for other in self.sentences if other not in text]
            self.sentences.append(text)

    def words(self) -> ErrorWords:
        """What was found. The code that is nearest to the top comes first."""
        codes = tuple(dict.fromkeys(text for _, _, text in sorted(self.codes)))
        error = codes[0].removeprefix(_REGISTERED) if codes else None
        sentences = list(self.sentences or self.others)
        if self.violated:
            sentences.append(f"violated policies: {', '.join(self.violated)}")
        return ErrorWords(
            printable(error, ERROR_CHARACTERS_MAX),
            printable("; ".join(sentences), MESSAGE_CHARACTERS_MAX),
            codes,
            tuple(self.violated),
        )


def _folded(key: str) -> str:
    return re.sub(r"[^a-z]", "", key.lower())


def _place(fields: dict[object, object]) -> str:
    """The field that an error in a list is about."""
    by_name = {_folded(str(name)): value for name, value in fields.items()}
    if not any(map(_MESSAGE_KEY.fullmatch, by_name)):
        return ""
    for name in _PLACE_KEYS:
        value = by_name.get(name)
        if isinstance(value, list):
            value = ".".join(str(step) for step in value if isinstance(step, str | int))
        if isinstance(value, str) and value:
            return printable(value, ERROR_CHARACTERS_MAX) or ""
    return ""


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _plain_text(text: str) -> str:
    """The words of a page or an XML document; the first line of anything else."""
    text = text.lstrip()
    if not text.startswith("<"):
        return text.split("\n", 1)[0]
    words = _Words()
    words.feed(text[:TEXT_CHARACTERS_MAX])
    return " ".join(words.found()) or text.split("\n", 1)[0]


class _Words(HTMLParser):
    """The texts of a page between its tags, without those that are not shown."""

    HIDDEN = frozenset({"script", "style", "template", "svg"})

    def __init__(self) -> None:
        super().__init__()
        self._hidden = 0
        self._title = False
        self._texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """See HTMLParser."""
        self._title = tag == "title"
        self._hidden += tag in self.HIDDEN

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        self._title = False
        self._hidden = max(0, self._hidden - (tag in self.HIDDEN))

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if self._title or not self._hidden:
            self._texts.append(" ".join(data.split()))

    def unknown_decl(self, data: str) -> None:
        """See HTMLParser: a CDATA section of XML."""
        self.handle_data(data.removeprefix("CDATA["))

    def found(self) -> Iterator[str]:
        """Each text once."""
        return iter(dict.fromkeys(filter(None, self._texts)))
