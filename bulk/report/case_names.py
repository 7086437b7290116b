"""Names the cells of a batch for people: no two names of a batch look alike.

Every report and every line on the terminal takes a cell's name from here. A name is the test,
platform, mode and device, and `#2` from the second repetition on. If that leaves cells alike, the
parts in which they differ follow: test, app and environment by the beginning of their ids; if none
does, the manifest's own columns; at last the key. Names depend on the batch's triggers alone, so a
run, its resume and its reports give the same ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bulk.model import Trigger
from bulk.report.legible import balanced, cut, isolated, look, one_line

NAME_CHARACTERS_MAX = 500  # CI servers show it as a title, and a cell can be far longer
OWN_MARK_CHARACTERS_MAX = 60
OWN_MARKS_MAX = 3  # with these and all ids, 100 of the 500 characters remain for the test
ID_LENGTHS = (8, 13, 18, 23, 36)  # a UUID's groups
_IDS = (("test", "test_id"), ("app", "app_id"), ("environment", "environment_id"))

Triggers = Callable[[], Iterable[Trigger]]
Marks = dict[str, tuple[str, ...]]
SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class CaseName:
    """A cell's name in parts: the test, the cell's own values, and what else tells it apart.

    `test` and `marks` can hold foreign text: one line, and nothing in it reaches beyond the part
    once it is isolated.
    """

    test: str
    cell: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def text(self) -> str:
        """The name as plain text, at most `NAME_CHARACTERS_MAX` characters."""
        return SEPARATOR.join([isolated(self.test), *self.cell, *map(isolated, self.marks)])

    @property
    def look(self) -> str:
        """`legible.look` of `text`, in less time: our own parts and separators are plain."""
        return SEPARATOR.join([look(self.test), *self.cell, *map(look, self.marks)])


@dataclass(frozen=True, slots=True)
class CaseNames:
    """The names of a batch's cells. `marks` has an entry for each key whose cell needs more."""

    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, trigger: Trigger) -> CaseName:
        """The name of one of the batch's cells."""
        marks = self.marks.get(trigger.key, ()) if self.marks else ()
        if trigger.repetition > 1:
            # A key, which is the last resort, stays last: it alone makes names differ for certain.
            place = len(marks) - (trigger.key in marks)
            marks = (*marks[:place], f"#{trigger.repetition}", *marks[place:])
        values = (trigger.platform, trigger.mode, trigger.device_model)
        cell = tuple(value.value for value in values if value)
        rest = sum(len(SEPARATOR) + len(isolated(part)) for part in (*cell, *marks))
        name = one_line(trigger.name)
        shown = name if look(name) else trigger.test_id
        room = NAME_CHARACTERS_MAX - rest - len("\u2068\u2069")
        return CaseName(balanced(cut(shown, room)), cell, marks)


def name_cases(triggers: Triggers) -> CaseNames:
    """The names of all cells of a batch; `triggers()` iterates over it, and is called repeatedly.

    It keeps 8 bytes for each trigger while it looks for equal names, and then the marks of those
    that have some.
    """
    names = CaseNames()
    for marks_of in (_differing_ids, _differing_own_cells):
        groups = _lookalikes(names, triggers)
        if not groups:
            return names
        names = _with_marks(names, marks_of(groups))
    # A test's own name can end in what marks another one, so this may take more than one round.
    # Each gives a key to at least one more cell, and two names with keys differ.
    while groups := _lookalikes(names, triggers):
        alike = (trigger for group in groups for trigger in group)
        without = {t.key for t in alike if t.key not in names.marks.get(t.key, ())}
        if not without:
            break  # no batch: two of its triggers have one key
        names = _with_marks(names, {key: (key,) for key in without})
    return names


def _with_marks(names: CaseNames, added: Marks) -> CaseNames:
    more = {key: (*names.marks.get(key, ()), *marks) for key, marks in added.items()}
    return CaseNames({**names.marks, **more})


def _lookalikes(names: CaseNames, triggers: Triggers) -> list[list[Trigger]]:
    """The groups of triggers whose names look alike; none has fewer than two."""
    seen: set[int] = set()
    repeated: set[int] = set()
    for trigger in triggers():
        code = hash(names.of(trigger).look)
        (repeated if code in seen else seen).add(code)
    if not repeated:
        return []
    groups: dict[str, list[Trigger]] = {}
    for trigger in triggers():
        seen_as = names.of(trigger).look
        if hash(seen_as) in repeated:
            groups.setdefault(seen_as, []).append(trigger)
    return [group for group in groups.values() if len(group) > 1]


def _differing_ids(groups: Sequence[Sequence[Trigger]]) -> Marks:
    """For each trigger, those of its ids in which its group differs, each short but unequivocal."""
    fields_of = [
        [(label, name) for label, name in _IDS if len({getattr(t, name) for t in group}) > 1]
        for group in groups
    ]
    shown: dict[str, set[str]] = {name: set() for _, name in _IDS}
    for group, fields in zip(groups, fields_of, strict=True):
        for _, name in fields:
            shown[name].update(filter(None, (getattr(trigger, name) for trigger in group)))
    short = {name: _short_ids(ids) for name, ids in shown.items()}
    return {
        trigger.key: tuple(
            f"{label} {short[name][value]}"
            for label, name in fields
            if (value := getattr(trigger, name)) is not None
        )
        for group, fields in zip(groups, fields_of, strict=True)
        for trigger in group
    }


def _short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Each id's beginning: the first 8 characters, or as many more as tell it from the others."""
    short: dict[str, str] = {}
    left = list(ids)
    for length in ID_LENGTHS:
        counts = Counter(value[:length] for value in left)
        short |= {value: value[:length] for value in left}
        left = [value for value in left if counts[value[:length]] > 1]
    return short


def _differing_own_cells(groups: Sequence[Sequence[Trigger]]) -> Marks:
    """For each trigger, its cells in the manifest's own columns that tell its group apart."""
    marks: Marks = {}
    for group in groups:
        cells = [dict(trigger.own) for trigger in group]
        told: list[tuple[str, ...]] = [()] * len(group)
        chosen: list[str] = []
        for column in dict.fromkeys(column for trigger in group for column, _ in trigger.own):
            more = [
                (*before, look(_own_mark(column, own.get(column, ""))))
                for before, own in zip(told, cells, strict=True)
            ]
            if len(set(more)) > len(set(told)) and len(chosen) < OWN_MARKS_MAX:
                told = more
                chosen.append(column)
        for trigger, own in zip(group, cells, strict=True):
            marks[trigger.key] = tuple(
                _own_mark(column, own[column]) for column in chosen if own.get(column)
            )
    return marks


def _own_mark(column: str, cell: str) -> str:
    return balanced(cut(f"{one_line(column)} {one_line(cell)}", OWN_MARK_CHARACTERS_MAX))
