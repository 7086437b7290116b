"""The journal's tables, their format version and every statement on them; knows SQL and no more.

`trigger` holds every cell of the batch from before the first send. Its outcome is NULL until there
is one, and again once reconciliation found an unknown trigger absent at the server. `attempt` gets
a row just before a request leaves; its `end` is 'open' until the answer is recorded. `origin` says
how a run was found that no answer named; `cancelled` is the result of cancelling a run.

All statements take named parameters and name their columns, so that no code counts places.
"""

# ruff: noqa: S608 - what the statements are built from are the columns' names below, no input

FORMAT_VERSION = 5
APPLICATION_ID = 0x42547231  # "BTr1": distinguishes our files from other SQLite databases

# A trigger's columns: the fields of `bulk.model.Trigger`, by the same names.
TRIGGER_COLUMNS = {
    "test_id": "TEXT NOT NULL",
    "platform": "TEXT",
    "mode": "TEXT",
    "device_model": "TEXT",
    "app_id": "TEXT",
    "environment_id": "TEXT",
    "repetition": "INTEGER NOT NULL",
    "name": "TEXT NOT NULL",
    "tags": "TEXT NOT NULL",  # JSON
    "line": "INTEGER NOT NULL",
    "own": "TEXT NOT NULL",  # JSON
}
_TRIGGER = ", ".join(TRIGGER_COLUMNS)
# What is sent to the server.
CELL_COLUMNS = tuple(TRIGGER_COLUMNS)[:6]
_CELL = ", ".join(CELL_COLUMNS)

# Since format 2.
RECONCILIATION_TABLES = """
CREATE TABLE stamp (
  session INTEGER NOT NULL, place INTEGER NOT NULL, sent_at REAL NOT NULL, sent_steady REAL,
  received_at REAL NOT NULL, received_steady REAL, server_at REAL NOT NULL
);
CREATE TABLE surplus (
  run_id TEXT PRIMARY KEY, test_id TEXT NOT NULL, created_at REAL
) WITHOUT ROWID;
"""

TABLES = (
    f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trigger (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  {", ".join(f"{name} {kind}" for name, kind in TRIGGER_COLUMNS.items())},
  outcome TEXT CHECK (outcome IN ('queued', 'rejected', 'throttled', 'unknown', 'unsent')),
  failure_code TEXT, run_id TEXT, http_status INTEGER, error TEXT, message TEXT, finished_at REAL,
  origin TEXT CHECK (origin IN ('adopted', 'by_count')), candidates TEXT, undecided TEXT,
  cancelled TEXT CHECK (cancelled IN ('yes', 'had ended', 'not found', 'refused', 'unclear')),
  CHECK ((outcome = 'queued') = (run_id IS NOT NULL) OR outcome IS NULL)
);
"""
    """
CREATE UNIQUE INDEX one_owner_a_run ON trigger (run_id) WHERE run_id IS NOT NULL;
CREATE TABLE attempt (
  id INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL REFERENCES trigger,
  number INTEGER NOT NULL,
  end TEXT NOT NULL DEFAULT 'open'
    CHECK (end IN ('open', 'queued', 'rejected', 'throttled', 'unknown', 'unsent')),
  sent_at REAL NOT NULL, received_at REAL,
  wait_ms REAL NOT NULL DEFAULT 0, latency_ms REAL, in_flight INTEGER NOT NULL DEFAULT 1,
  http_status INTEGER, failure_code TEXT, run_id TEXT, error TEXT, message TEXT,
  headers TEXT NOT NULL DEFAULT '[]',
  session INTEGER NOT NULL DEFAULT 0, steady_at REAL, absent_at REAL
);
CREATE TABLE session (
  id INTEGER PRIMARY KEY, started_at REAL NOT NULL, elapsed_s REAL, stop TEXT, stop_detail TEXT,
  reconcile_s REAL, reported_at REAL
);
""" + RECONCILIATION_TABLES
)

# From each format to the next one.
MIGRATIONS = {
    1: """
ALTER TABLE trigger ADD COLUMN origin TEXT CHECK (origin IN ('adopted', 'by_count'));
ALTER TABLE trigger ADD COLUMN candidates TEXT;
ALTER TABLE trigger ADD COLUMN undecided TEXT;
ALTER TABLE trigger ADD COLUMN cancelled TEXT
  CHECK (cancelled IN ('yes', 'had ended', 'not found', 'refused', 'unclear'));
ALTER TABLE attempt ADD COLUMN session INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN steady_at REAL;
ALTER TABLE attempt ADD COLUMN absent_at REAL;
"""
    + RECONCILIATION_TABLES,
    2: "ALTER TABLE session ADD COLUMN asked_s REAL",
    3: """
ALTER TABLE session ADD COLUMN reported_at REAL;
UPDATE session SET reported_at = started_at WHERE elapsed_s IS NOT NULL
""",
    4: "ALTER TABLE session RENAME COLUMN asked_s TO reconcile_s",
}

INSERT_BATCH = "INSERT INTO meta VALUES ('batch', :fields)"
SELECT_BATCH = "SELECT value FROM meta WHERE name = 'batch'"
INSERT_TRIGGER = f"""
INSERT INTO trigger (key, {_TRIGGER})
VALUES (:key, {", ".join(f":{name}" for name in TRIGGER_COLUMNS)})
"""
SELECT_TRIGGERS = f"SELECT key, {_TRIGGER} FROM trigger"
SELECT_ATTEMPTS_TO_CHECK = "SELECT json_valid(headers) AS headers_valid, * FROM attempt"

# The mark is in the file while there is a write-ahead log beside it, and not in that log.
CLEAR_MARK = "DELETE FROM meta WHERE name = 'log'"
SELECT_MARK = "SELECT value FROM meta WHERE name = 'log'"
# Of two commits: the checkpoint moves the first into the file, the second begins the new log.
BEGIN_LOG = f"""
INSERT OR REPLACE INTO meta VALUES ('log', 'is beside this file');
PRAGMA wal_checkpoint;
{CLEAR_MARK}
"""

SELECT_PENDING = f"""
SELECT seq, {_TRIGGER}, coalesce(a.attempts, 0) AS attempts
FROM trigger LEFT JOIN (SELECT seq AS of, count(*) AS attempts FROM attempt GROUP BY seq) a
  ON a.of = seq
WHERE outcome IS NULL AND seq > :after_seq ORDER BY seq LIMIT :rows_max
"""
SELECT_LAST_ATTEMPT_ID = "SELECT coalesce(max(id), 0) AS id FROM attempt"

INSERT_INTENT = """
INSERT INTO attempt (id, seq, number, sent_at, steady_at, session)
VALUES (:attempt_id, :seq, :number, :at, :steady_at, :session)
"""
DELETE_INTENT = "DELETE FROM attempt WHERE id = :attempt_id"
END_ATTEMPT = """
UPDATE attempt SET end = :end, sent_at = :sent_at, steady_at = :steady_at,
  received_at = :received_at, wait_ms = :wait_ms, latency_ms = :latency_ms,
  in_flight = :in_flight, http_status = :http_status, failure_code = :failure_code,
  run_id = :run_id, error = :error, message = :message, headers = :headers
WHERE id = :attempt_id
"""

# An answer outranks what reconciliation found: the run goes to the trigger that the answer names.
YIELD_ADOPTED = """
UPDATE trigger SET outcome = 'unknown', failure_code = 'bad_response', run_id = NULL, origin = NULL,
  cancelled = NULL,
  message = 'the run found for it was another trigger''s'
WHERE run_id = :run_id AND origin IS NOT NULL
"""
END_TRIGGER = """
UPDATE trigger SET outcome = :outcome, failure_code = :failure_code, run_id = :run_id,
  http_status = :http_status, error = :error, message = :message, finished_at = :received_at
WHERE seq = :seq AND outcome IS NULL
"""

# An intent without an end: the process died between the two. It may have been executed.
DIED = "the process ended before the answer was recorded"
CLOSE_OPEN_TRIGGERS = """
UPDATE trigger SET outcome = 'unknown', failure_code = 'interrupted', message = :message
WHERE outcome IS NULL AND seq IN (SELECT seq FROM attempt WHERE end = 'open')
"""
CLOSE_OPEN_ATTEMPTS = """
UPDATE attempt SET end = 'unknown', failure_code = 'interrupted', message = :message
WHERE end = 'open'
"""
_REOPEN = """
UPDATE trigger SET outcome = NULL, failure_code = NULL, http_status = NULL, error = NULL,
  message = NULL, finished_at = NULL
"""
# Never executed and not rejected for good: a resumed batch sends them.
REOPEN_UNSENT = _REOPEN + "WHERE outcome = 'unsent'"
# A finished batch's failures, to be sent as further attempts. Unknown ones are not among them.
REOPEN_FAILED = _REOPEN + "WHERE outcome IN ('rejected', 'throttled')"

# --- the list of queued runs, see `runs_file` -----------------------------------------------------

SELECT_RUNS = """
SELECT finished_at, run_id, key, test_id, platform, mode FROM trigger WHERE run_id IS NOT NULL
"""
SELECT_RUN = SELECT_RUNS + " AND seq = :seq"

# --- reconciliation -------------------------------------------------------------------------------

_TIMES = """
a.id AS attempt_id, a.session, a.sent_at, a.steady_at, a.received_at, a.latency_ms,
a.failure_code
"""
_LOST = f"""
SELECT t.seq, {", ".join(f"t.{name}" for name in TRIGGER_COLUMNS)}, {_TIMES}
FROM trigger t JOIN attempt a ON a.seq = t.seq
"""
_IN_ORDER = " ORDER BY t.seq, a.id"
SELECT_LOST = _LOST + "WHERE t.outcome = 'unknown' AND a.end IN ('unknown', 'open')" + _IN_ORDER
# Attempts that may have made a run that no trigger owns: those of unknown triggers, and older ones
# of triggers that were sent again all the same.
_IN_DOUBT = (
    _LOST + "WHERE a.end IN ('unknown', 'open') AND a.absent_at IS NULL AND t.origin IS NULL"
)
SELECT_IN_DOUBT = _IN_DOUBT + _IN_ORDER
SELECT_RESENT = _IN_DOUBT + " AND (t.outcome IS NULL OR t.outcome != 'unknown')" + _IN_ORDER
SELECT_DATED = f"""
SELECT {_TIMES}, a.headers FROM attempt a
WHERE a.received_at IS NOT NULL AND a.headers LIKE '%"date"%' ORDER BY a.id
"""
INSERT_STAMP = """
INSERT INTO stamp VALUES (
  :session, :attempt_id, :sent_at, :sent_steady, :received_at, :received_steady, :server_at)
"""
SELECT_STAMPS = """
SELECT session, place AS attempt_id, sent_at, sent_steady, received_at, received_steady, server_at
FROM stamp
"""
SELECT_ANSWERED = f"""
SELECT t.run_id, {", ".join(f"t.{name}" for name in CELL_COLUMNS)}, {_TIMES}
FROM trigger t JOIN attempt a ON a.seq = t.seq
WHERE t.outcome = 'queued' AND t.origin IS NULL AND a.end = 'queued' ORDER BY a.id
"""
SELECT_CELLS = f"SELECT DISTINCT {_CELL} FROM trigger"
SELECT_OUTERMOST = f"""
SELECT {_TIMES} FROM attempt a
WHERE a.id IN (SELECT min(id) FROM attempt UNION SELECT max(id) FROM attempt) ORDER BY a.id
"""
ADOPT = """
UPDATE trigger SET outcome = 'queued', failure_code = NULL, run_id = :run_id, origin = :origin,
  candidates = NULL, undecided = NULL, finished_at = :at
WHERE seq = :seq AND outcome = 'unknown'
"""
# To be sent again: by a named option, or because the server has no run of it.
REOPEN_UNKNOWN = """
UPDATE trigger SET outcome = NULL, failure_code = NULL, http_status = NULL, error = NULL,
  message = NULL, finished_at = NULL, candidates = NULL, undecided = NULL
WHERE seq = :seq AND outcome = 'unknown'
"""
NOTE_ABSENT = "UPDATE attempt SET absent_at = :at WHERE seq = :seq AND end = 'unknown'"
NOTE_UNDECIDED = """
UPDATE trigger SET candidates = :candidates, undecided = :why
WHERE seq = :seq AND outcome = 'unknown'
"""
# For another batch as well: which runs have an owner here, and which tests there are. All formats
# have these columns.
SELECT_RUN_IDS = "SELECT run_id FROM trigger WHERE run_id IS NOT NULL"
SELECT_ALL_RUN_IDS = SELECT_RUN_IDS + " UNION SELECT run_id FROM attempt WHERE run_id IS NOT NULL"
SELECT_ANSWERED_RUN_IDS = SELECT_RUN_IDS + " AND origin IS NULL"
SELECT_KEYS = "SELECT key FROM trigger"
SELECT_SENT_KEYS = """
SELECT key FROM trigger WHERE cancelled IS NOT 'yes' AND seq IN (
  SELECT seq FROM attempt WHERE end IN ('queued', 'unknown', 'open') AND absent_at IS NULL)
"""
SELECT_TESTS = "SELECT DISTINCT test_id FROM trigger"
INSERT_SURPLUS = "INSERT OR REPLACE INTO surplus VALUES (:run_id, :test_id, :created_at)"
SELECT_SURPLUS = """
SELECT run_id FROM surplus
WHERE run_id NOT IN (SELECT run_id FROM trigger WHERE run_id IS NOT NULL)
ORDER BY created_at, run_id
"""

# --- cancelling -----------------------------------------------------------------------------------

# Where nothing is left to cancel, no later command asks again.
SELECT_UNCANCELLED = """
SELECT seq, run_id FROM trigger
WHERE outcome = 'queued' AND (cancelled IS NULL OR cancelled NOT IN ('yes', 'had ended'))
ORDER BY seq
"""
NOTE_CANCELLED = """
UPDATE trigger SET cancelled = :cancelled WHERE seq = :seq AND run_id = :run_id
"""

# --- for reports ----------------------------------------------------------------------------------

SELECT_RESULTS = f"""
SELECT {", ".join(f"t.{name}" for name in TRIGGER_COLUMNS)},
       t.outcome, t.failure_code, t.run_id, t.http_status, t.error, t.message, t.finished_at,
       t.origin, t.candidates, t.undecided, t.cancelled,
       coalesce(a.attempts, 0) AS attempts, coalesce(a.throttles, 0) AS throttles, a.wait_ms,
       last.latency_ms, a.total_ms, a.first_sent_at, last.end AS last_end
FROM trigger t
LEFT JOIN (
  SELECT seq, count(*) AS attempts, sum(http_status = 429) AS throttles, sum(wait_ms) AS wait_ms,
         sum(wait_ms + coalesce(latency_ms, 0)) AS total_ms, min(sent_at) AS first_sent_at,
         max(id) AS last_id
  FROM attempt GROUP BY seq
) a ON a.seq = t.seq
LEFT JOIN attempt last ON last.id = a.last_id
ORDER BY t.seq
"""

SELECT_ATTEMPTS = """
SELECT t.key, t.test_id, a.number, a.end, a.sent_at, a.received_at, a.wait_ms, a.latency_ms,
       a.in_flight, a.http_status, a.failure_code, a.run_id, a.error, a.message, a.headers,
       a.absent_at
FROM attempt a JOIN trigger t ON t.seq = a.seq ORDER BY a.id
"""

INSERT_SESSION = "INSERT INTO session (started_at) VALUES (:now)"
END_SESSION = """
UPDATE session SET stop = :stop, stop_detail = :stop_detail, elapsed_s = :elapsed_s,
  reconcile_s = :reconcile_s
WHERE id = :session
"""
# A process that died recorded no time of its own: it worked at least until its last request.
SELECT_SESSION_ENDS = """
SELECT stop, stop_detail,
       coalesce(elapsed_s, (SELECT max(coalesce(received_at, sent_at)) FROM attempt
                            WHERE attempt.session = session.id) - started_at, 0) AS elapsed_s,
       coalesce(reconcile_s, 0) AS reconcile_s
FROM session ORDER BY id
"""
SELECT_ENDED_BY_ITSELF = """
SELECT elapsed_s IS NOT NULL AND stop IS NULL AS answer FROM session ORDER BY id DESC LIMIT 1
"""
NOTE_REPORTED = "UPDATE session SET reported_at = :now WHERE id = (SELECT max(id) FROM session)"
SELECT_REPORTED = """
SELECT reported_at IS NOT NULL AS answer FROM session ORDER BY id DESC LIMIT 1
"""
SELECT_RECONCILIATION_DUE = """
SELECT coalesce(max(CASE WHEN elapsed_s IS NULL OR stop IS NOT NULL THEN id END), 0)
     > coalesce(max(CASE WHEN stop IS NULL AND reconcile_s > 0 THEN id END), 0) AS answer
FROM session
"""
# A trigger whose process died before the answer is unknown, also before the next session says so.
COUNT_OUTCOMES = """
SELECT CASE WHEN outcome IS NULL AND seq IN (SELECT seq FROM attempt WHERE end = 'open')
  THEN 'unknown' ELSE outcome END AS outcome, count(*) AS count
FROM trigger GROUP BY 1
"""

# --- of a damaged file, see `damaged`: columns that all formats have ------------------------------

SALVAGE_TRIGGERS = f"""
SELECT seq, key, {_TRIGGER}, outcome, run_id
FROM trigger NOT INDEXED WHERE seq BETWEEN :low AND :high ORDER BY seq
"""
# Of a row that is broken at its end the first columns may be readable.
SALVAGE_OWNERS = """
SELECT seq, run_id FROM trigger NOT INDEXED WHERE seq BETWEEN :low AND :high ORDER BY seq
"""
SALVAGE_ATTEMPTS = """
SELECT id AS seq, seq AS trigger_seq, end, run_id
FROM attempt WHERE id BETWEEN :low AND :high ORDER BY id
"""
# Read from the index alone, so that they do not need the table's pages.
SALVAGE_KEYS = "SELECT key AS value, seq FROM trigger INDEXED BY sqlite_autoindex_trigger_1"
SALVAGE_RUN_IDS = """
SELECT run_id AS value, seq FROM trigger INDEXED BY one_owner_a_run WHERE run_id IS NOT NULL
"""
