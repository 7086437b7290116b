"""Journals of earlier formats."""

from __future__ import annotations

import sqlite3


def bring_down(sql: sqlite3.Connection, version: int) -> None:
    """Turn a journal of our format into one of an earlier format."""
    sql.execute(f"PRAGMA user_version = {version}")
    sql.execute("ALTER TABLE session RENAME COLUMN reconcile_s TO asked_s")
    if version > 3:
        return
    sql.execute("ALTER TABLE session DROP COLUMN reported_at")
    if version > 2:
        return
    sql.execute("ALTER TABLE session DROP COLUMN asked_s")
    if version > 1:
        return
    for column in ("origin", "candidates", "undecided", "cancelled"):
        sql.execute(f"ALTER TABLE trigger DROP COLUMN {column}")
    for column in ("session", "steady_at", "absent_at"):
        sql.execute(f"ALTER TABLE attempt DROP COLUMN {column}")
    for table in ("stamp", "surplus"):
        sql.execute(f"DROP TABLE {table}")
