"""GitHub's own example of a matrix, and the changes that each entry reports."""

from __future__ import annotations

from bulk.manifest.matrix import Entry, Matrix, expand


def test_githubs_example_of_include_expands_as_documented() -> None:
    matrix = Matrix(
        line=1,
        axes=(("fruit", ("apple", "pear")), ("animal", ("cat", "dog"))),
        include=(
            Entry(4, (("color", "green"),)),
            Entry(5, (("color", "pink"), ("animal", "cat"))),
            Entry(6, (("fruit", "apple"), ("shape", "circle"))),
            Entry(7, (("fruit", "banana"),)),
            Entry(8, (("fruit", "banana"), ("animal", "cat"))),
        ),
    )
    expansion = expand(matrix)
    assert [" ".join(value for _, value in pairs) for pairs in expansion.combinations] == [
        "apple cat pink circle",
        "apple dog green circle",
        "pear cat pink",
        "pear dog green",
        "banana",
        "banana cat",
    ]
    assert [(change.extended, change.added) for change in expansion.changes] == [
        (4, 0),
        (2, 0),
        (2, 0),
        (0, 1),
        (0, 1),
    ]


def test_an_exclude_counts_what_it_matches_and_what_it_removes() -> None:
    matrix = Matrix(
        line=1,
        axes=(("os", ("a", "b")), ("version", ("1", "2"))),
        exclude=(
            Entry(3, (("os", "a"),)),
            Entry(4, (("version", "1"),)),
            Entry(5, (("os", "a"), ("version", "1"))),
            Entry(6, (("os", "c"),)),
        ),
    )
    expansion = expand(matrix)
    assert expansion.combinations == ((("os", "b"), ("version", "2")),)
    assert [(change.matched, change.removed) for change in expansion.changes] == [
        (2, 2),
        (2, 1),
        (1, 0),
        (0, 0),
    ]


def test_expanding_a_matrix_twice_gives_the_same() -> None:
    matrix = Matrix(1, (("a", ("1", "2")),), include=(Entry(2, (("b", "3"),)),))
    assert expand(matrix) == expand(matrix)
