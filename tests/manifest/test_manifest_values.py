"""Single values of a manifest: what is taken, and the words for what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bulk.manifest import values
from bulk.manifest.findings import shown
from bulk.model import DeviceModel, Mode, Platform

platform = values.choice(Platform)
platforms = values.cell_list(platform)
ID = "5a3b1e00-0001-4c1e-8a01-000000000001"

GOOD: list[tuple[Callable[[object], Any], str, Any]] = [
    (platform, "ios", Platform.IOS),
    (platform, "\u00a0iOS\t", Platform.IOS),
    (platforms, "web|ios", (Platform.WEB, Platform.IOS)),
    (values.choice(Mode), "DEEP", Mode.DEEP),
    (values.uuid_text, ID.upper(), ID),
    (values.whole_number, "1", 1),
    (values.whole_number, " 0010 ", 10),
    (values.whole_number, "1000", 1000),
    (values.tag, " slow one ", "slow one"),
    (values.tag_cell, "a|b,c;a;|", ("a", "b", "c")),
    (values.tag_cell, "", ()),
]
BAD: list[tuple[Callable[[object], Any], object, str]] = [
    (platform, "", "is empty; write web, ios or android, or leave it out"),
    (platform, "iso", '"iso" is not web, ios or android (did you mean "ios"?)'),
    (platform, "windows", '"windows" is not web, ios or android'),
    (
        platform,
        "ios & web",
        '"ios & web" is not web, ios or android (separate several values with "|")',
    ),
    (platform, ["web"], "needs a single value, not a list or mapping"),
    (platforms, "web|", '"web|" has an empty value beside a bar'),
    (platforms, "ios|web|IOS", '"ios" stands twice in one list'),
    (values.choice(Mode), "slow", '"slow" is not fast or deep'),
    (values.uuid_text, "", "is empty; it needs a UUID"),
    (
        values.uuid_text,
        ID + "\n0",
        f'"{ID}\\n0" is no UUID (8-4-4-4-12 hexadecimal digits, '
        "as 123e4567-e89b-42d3-a456-426614174000)",
    ),
    (values.whole_number, "0", '"0" is not a whole number from 1 to 1000'),
    (values.whole_number, "1001", '"1001" is not a whole number from 1 to 1000'),
    (values.whole_number, "\u0663", '"\u0663" is not a whole number from 1 to 1000'),
    (values.whole_number, "2.0", '"2.0" is not a whole number from 1 to 1000'),
    (values.tag, "", "an empty tag"),
    (values.tag, "a;b", 'the tag "a;b" may not hold a comma, a semicolon or a bar'),
]


@pytest.mark.parametrize(("read", "text", "value"), GOOD)
def test_a_good_value_is_taken(read: Callable[[object], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(("read", "value", "words"), BAD)
def test_a_bad_value_is_named_with_what_to_do(
    read: Callable[[object], Any], value: object, words: str
) -> None:
    with pytest.raises(ValueError) as caught:
        read(value)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("device", "beside", "words"),
    [
        (DeviceModel.IPAD, (Platform.IOS,), ""),
        (DeviceModel.IPAD, (Platform.WEB, Platform.IOS), ""),
        (DeviceModel.IPAD, (Platform.WEB,), '"ipad" is a device of ios, not of web'),
        (DeviceModel.IPHONE, (), '"iphone" needs the platform ios, and none is set'),
        (DeviceModel.IPHONE, (None,), '"iphone" needs the platform ios, and none is set'),
    ],
)
def test_a_device_needs_a_platform_it_fits(
    device: DeviceModel, beside: tuple[Platform | None, ...], words: str
) -> None:
    assert values.device_misfit(device, beside) == words


def test_a_quoted_value_is_short_and_harmless() -> None:
    assert shown("\x1b[2J\u202e") == '"\\x1b[2J\\u202e"'
    assert len(shown("x" * 500)) == 62
