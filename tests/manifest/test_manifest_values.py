"""Single values of a manifest: which are valid, and the messages for those that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bulk.manifest import values
from bulk.manifest.findings import quoted
from bulk.model import DeviceModel, Mode, Platform

platform = values.choice(Platform)
platform_list = values.cell_list(platform)
ID = "5a3b1e00-0001-4c1e-8a01-000000000001"

GOOD: list[tuple[Callable[[object], Any], str, Any]] = [
    (platform, "ios", Platform.IOS),
    (platform, "\u00a0iOS\t", Platform.IOS),
    (platform_list, "web|ios", (Platform.WEB, Platform.IOS)),
    (values.choice(Mode), "DEEP", Mode.DEEP),
    (values.uuid_text, ID.upper(), ID),
    (values.whole_number, "1", 1),
    (values.whole_number, " 0010 ", 10),
    (values.whole_number, "1000", 1000),
    (values.whole_number, "2.0", 2),
    (values.whole_number, "2,00", 2),
    (values.whole_number, "2.", 2),
    (values.whole_number, "1000.000000", 1000),
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
    (platform, ["web"], "must be a single value, not a list or mapping"),
    (platform_list, "web|", '"web|" has an empty value next to a "|"'),
    (platform_list, "ios|web|IOS", '"ios" appears twice in one list'),
    (values.choice(Mode), "slow", '"slow" is not fast or deep'),
    (values.uuid_text, "", "is empty; a UUID is required"),
    (
        values.uuid_text,
        ID + "\n0",
        f'"{ID}\\n0" is not a UUID, but contains {ID}; write only the UUID',
    ),
    (values.whole_number, "0", '"0" is not a whole number from 1 to 1000'),
    (values.whole_number, "1001", '"1001" is not a whole number from 1 to 1000'),
    (values.whole_number, "\u0663", '"\u0663" is not a whole number from 1 to 1000'),
    (values.whole_number, "2.5", '"2.5" is not a whole number from 1 to 1000'),
    (values.whole_number, "0.0", '"0.0" is not a whole number from 1 to 1000'),
    (
        values.whole_number,
        "1,000",
        '"1,000" is 1000 to some programs and 1 to others; write the number without separators',
    ),
    (values.tag, "", "has an empty tag"),
    (values.tag, "a;b", 'the tag "a;b" must not contain a comma, a semicolon or "|"'),
]


@pytest.mark.parametrize(("parse", "text", "value"), GOOD)
def test_a_valid_value_is_parsed(parse: Callable[[object], Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "value", "message"), BAD)
def test_an_invalid_value_is_named_with_what_to_do(
    parse: Callable[[object], Any], value: object, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        parse(value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("device", "platforms", "message"),
    [
        (DeviceModel.IPAD, (Platform.IOS,), ""),
        (DeviceModel.IPAD, (Platform.WEB, Platform.IOS), ""),
        (DeviceModel.IPAD, (Platform.WEB,), '"ipad" belongs to ios, not to web'),
        (DeviceModel.IPHONE, (), '"iphone" needs the platform ios, but none is set'),
        (DeviceModel.IPHONE, (None,), '"iphone" needs the platform ios, but none is set'),
    ],
)
def test_a_device_needs_its_platform(
    device: DeviceModel, platforms: tuple[Platform | None, ...], message: str
) -> None:
    assert values.device_misfit(device, platforms) == message


def test_a_quoted_value_is_short_and_harmless() -> None:
    assert quoted("\x1b[2J\u202e") == '"\\x1b[2J\\u202e"'
    assert len(quoted("x" * 500)) == 62
