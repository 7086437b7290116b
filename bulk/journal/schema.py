"""The journal's tables and their format version; knows SQL and nothing else.

`trigger` holds every cell of the batch from before the first send; its outcome is NULL until it has
one, and again once an unknown one was found absent at the server. `attempt` holds a row from just
before a request leaves; its end is 'open' until it has one. Of a run id that no answer named,
`origin` says how it was found; `cancelled` says what came of asking to cancel one.
"""

FORMAT_VERSION = 4
APPLICATION_ID = 0x42547231  # "BTr1": tells our files from other SQLite databases

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
    """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trigger (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  test_id TEXT NOT NULL, platform TEXT, mode TEXT, device_model TEXT,
  app_id TEXT, environment_id TEXT, repetition INTEGER NOT NULL,
  name TEXT NOT NULL, tags TEXT NOT NULL, line INTEGER NOT NULL, own TEXT NOT NULL,
  outcome TEXT CHECK (outcome IN ('queued', 'rejected', 'throttled', 'unknown', 'unsent')),
  failure_code TEXT, run_id TEXT, http_status INTEGER, error TEXT, message TEXT, finished_at REAL,
  origin TEXT CHECK (origin IN ('adopted', 'by_count')), candidates TEXT, undecided TEXT,
  cancelled TEXT CHECK (cancelled IN ('yes', 'had ended', 'not found', 'refused', 'unclear')),
  CHECK ((outcome = 'queued') = (run_id IS NOT NULL) OR outcome IS NULL)
);
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
  asked_s REAL, reported_at REAL
);
"""
    + RECONCILIATION_TABLES
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
}

INSERT_TRIGGER = """
INSERT INTO trigger (key, test_id, platform, mode, device_model, app_id, environment_id, repetition,
                     name, tags, line, own)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

SELECT_CELLS_AND_KEYS = """
SELECT test_id, platform, mode, device_model, app_id, environment_id, repetition,
       name, tags, line, own, key FROM trigger
"""
SELECT_ALL_OF_ATTEMPTS = "SELECT json_valid(headers), * FROM attempt"
# The mark: stands in the file while there is a log beside it, and not in that log.
UNMARK = "DELETE FROM meta WHERE name = 'log'"
SELECT_MARK = "SELECT value FROM meta WHERE name = 'log'"
# Of two commits: the first one is folded into the file at once, the other begins the new log.
BEGIN_LOG = """
INSERT OR REPLACE INTO meta VALUES ('log', 'is beside this file');
PRAGMA wal_checkpoint;
DELETE FROM meta WHERE name = 'log'
"""

SELECT_PENDING = """
SELECT seq, test_id, platform, mode, device_model, app_id, environment_id, repetition,
       name, tags, line, own, coalesce(a.attempts, 0)
FROM trigger LEFT JOIN (SELECT seq AS of, count(*) AS attempts FROM attempt GROUP BY seq) a
  ON a.of = seq
WHERE outcome IS NULL AND seq > ? ORDER BY seq LIMIT ?
"""

INSERT_INTENT = """
INSERT INTO attempt (id, seq, number, sent_at, steady_at, session) VALUES (?, ?, ?, ?, ?, ?)
"""

END_ATTEMPT = """
UPDATE attempt SET end = ?, sent_at = ?, steady_at = ?, received_at = ?, wait_ms = ?,
  latency_ms = ?, in_flight = ?, http_status = ?, failure_code = ?, run_id = ?, error = ?,
  message = ?, headers = ?
WHERE id = ?
"""

# An answer outranks what was found by looking: the run goes to the trigger that the answer names.
YIELD_ADOPTED = """
UPDATE trigger SET outcome = 'unknown', failure_code = 'bad_response', run_id = NULL, origin = NULL,
  cancelled = NULL,
  message = 'the run found for it was another trigger''s'
WHERE run_id = ? AND origin IS NOT NULL
"""

END_TRIGGER = """
UPDATE trigger SET outcome = ?, failure_code = ?, run_id = ?, http_status = ?, error = ?,
  message = ?, finished_at = ?
WHERE seq = ? AND outcome IS NULL
"""

# An intent without an end: the process died between the two. It may have been executed.
DIED = "the process ended before the answer was recorded"
SETTLE_OPEN_TRIGGERS = """
UPDATE trigger SET outcome = 'unknown', failure_code = 'interrupted', message = ?
WHERE outcome IS NULL AND seq IN (SELECT seq FROM attempt WHERE end = 'open')
"""
SETTLE_OPEN_ATTEMPTS = """
UPDATE attempt SET end = 'unknown', failure_code = 'interrupted', message = ?
WHERE end = 'open'
"""
# Never executed and not refused for good: a resumed batch takes them up again.
REOPEN_UNSENT = """
UPDATE trigger SET outcome = NULL, failure_code = NULL, http_status = NULL, error = NULL,
  message = NULL, finished_at = NULL
WHERE outcome = 'unsent'
"""

# --- reconciliation -------------------------------------------------------------------------------

_LOST = """
SELECT t.seq, t.test_id, t.platform, t.mode, t.device_model, t.app_id, t.environment_id,
       t.repetition, t.name, t.tags, t.line, t.own,
       a.id, a.session, a.sent_at, a.steady_at, a.received_at, a.latency_ms, a.failure_code
FROM trigger t JOIN attempt a ON a.seq = t.seq
"""
_IN_ORDER = " ORDER BY t.seq, a.id"
SELECT_LOST = _LOST + "WHERE t.outcome = 'unknown' AND a.end IN ('unknown', 'open')" + _IN_ORDER
# Lost attempts of which nobody knows what became of them: those, and older ones of triggers that
# were sent again all the same.
_IN_DOUBT = (
    _LOST + "WHERE a.end IN ('unknown', 'open') AND a.absent_at IS NULL AND t.origin IS NULL"
)
SELECT_IN_DOUBT = _IN_DOUBT + _IN_ORDER
SELECT_RESENT = _IN_DOUBT + " AND (t.outcome IS NULL OR t.outcome != 'unknown')" + _IN_ORDER
SELECT_DATED = """
SELECT id, session, sent_at, steady_at, received_at, latency_ms, failure_code, headers FROM attempt
WHERE received_at IS NOT NULL AND headers LIKE '%"date"%' ORDER BY id
"""
INSERT_STAMP = "INSERT INTO stamp VALUES (?, ?, ?, ?, ?, ?, ?)"
SELECT_STAMPS = """
SELECT place, session, sent_at, sent_steady, received_at, received_steady, server_at FROM stamp
"""
SELECT_ANSWERED = """
SELECT t.run_id, t.test_id, t.platform, t.mode, t.device_model, t.app_id, t.environment_id,
       a.id, a.session, a.sent_at, a.steady_at, a.received_at, a.latency_ms, a.failure_code
FROM trigger t JOIN attempt a ON a.seq = t.seq
WHERE t.outcome = 'queued' AND t.origin IS NULL AND a.end = 'queued' ORDER BY a.id
"""
SELECT_CELLS = """
SELECT DISTINCT test_id, platform, mode, device_model, app_id, environment_id FROM trigger
"""
SELECT_OUTERMOST = """
SELECT id, session, sent_at, steady_at, received_at, latency_ms, failure_code FROM attempt
WHERE id IN (SELECT min(id) FROM attempt UNION SELECT max(id) FROM attempt) ORDER BY id
"""
ADOPT = """
UPDATE trigger SET outcome = 'queued', failure_code = NULL, run_id = ?, origin = ?,
  candidates = NULL, undecided = NULL, finished_at = ?
WHERE seq = ? AND outcome = 'unknown'
"""
# Sent again from here on: by a named option, or because the server has no run of it.
REOPEN_UNKNOWN = """
UPDATE trigger SET outcome = NULL, failure_code = NULL, http_status = NULL, error = NULL,
  message = NULL, finished_at = NULL, candidates = NULL, undecided = NULL
WHERE seq = ? AND outcome = 'unknown'
"""
NOTE_ABSENT = "UPDATE attempt SET absent_at = ? WHERE seq = ? AND end = 'unknown'"
NOTE_UNDECIDED = """
UPDATE trigger SET candidates = ?, undecided = ? WHERE seq = ? AND outcome = 'unknown'
"""
# Of another batch as well: which runs have an owner there, and which tests it has. All formats have
# these columns.
SELECT_RUN_IDS = "SELECT run_id FROM trigger WHERE run_id IS NOT NULL"
SELECT_KEYS = "SELECT key FROM trigger"
SELECT_SENT_KEYS = """
SELECT key FROM trigger WHERE cancelled IS NOT 'yes' AND seq IN (
  SELECT seq FROM attempt WHERE end IN ('queued', 'unknown', 'open') AND absent_at IS NULL)
"""
SELECT_TESTS = "SELECT DISTINCT test_id FROM trigger"
INSERT_SURPLUS = "INSERT OR REPLACE INTO surplus VALUES (?, ?, ?)"
SELECT_SURPLUS = """
SELECT run_id, test_id, created_at FROM surplus
WHERE run_id NOT IN (SELECT run_id FROM trigger WHERE run_id IS NOT NULL)
ORDER BY created_at, run_id
"""
# A finished batch's failures, to be sent as further attempts. Unknown ones are not among them.
REOPEN_FAILED = """
UPDATE trigger SET outcome = NULL, failure_code = NULL, http_status = NULL, error = NULL,
  message = NULL, finished_at = NULL
WHERE outcome IN ('rejected', 'throttled')
"""

# --- cancelling -----------------------------------------------------------------------------------

# Where nothing is left to cancel, nobody asks again.
SELECT_UNCANCELLED = """
SELECT seq, run_id FROM trigger
WHERE outcome = 'queued' AND (cancelled IS NULL OR cancelled NOT IN ('yes', 'had ended'))
ORDER BY seq
"""
NOTE_CANCELLED = "UPDATE trigger SET cancelled = ? WHERE seq = ? AND run_id = ?"

# --- for reports ----------------------------------------------------------------------------------

SELECT_RESULTS = """
SELECT t.seq, t.test_id, t.platform, t.mode, t.device_model, t.app_id, t.environment_id,
       t.repetition, t.name, t.tags, t.line, t.own,
       t.outcome, t.failure_code, t.run_id, t.http_status, t.error, t.message, t.finished_at,
       t.origin, t.candidates, t.undecided, t.cancelled,
       coalesce(a.attempts, 0), coalesce(a.throttles, 0), a.wait_ms, last.latency_ms, a.total_ms,
       a.first_sent_at, last.end, last.absent_at
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

END_SESSION = """
UPDATE session SET stop = ?, stop_detail = ?, elapsed_s = ?, asked_s = ? WHERE id = ?
"""
# A process that died left no time of its own: it worked at least until its last request.
SELECT_SESSION_ENDS = """
SELECT stop, stop_detail,
       coalesce(elapsed_s, (SELECT max(coalesce(received_at, sent_at)) FROM attempt
                            WHERE attempt.session = session.id) - started_at, 0),
       coalesce(asked_s, 0)
FROM session ORDER BY id
"""
SELECT_LAST_ENDED = """
SELECT elapsed_s IS NOT NULL AND stop IS NULL FROM session ORDER BY id DESC LIMIT 1
"""
NOTE_REPORTED = "UPDATE session SET reported_at = ? WHERE id = (SELECT max(id) FROM session)"
SELECT_REPORTED = "SELECT reported_at IS NOT NULL FROM session ORDER BY id DESC LIMIT 1"
SELECT_LEFT_UNASKED = """
SELECT coalesce(max(CASE WHEN elapsed_s IS NULL OR stop IS NOT NULL THEN id END), 0)
     > coalesce(max(CASE WHEN stop IS NULL AND asked_s > 0 THEN id END), 0) FROM session
"""
# One whose process died before the answer is unknown, also before the next one has settled it.
COUNT_OUTCOMES = """
SELECT CASE WHEN outcome IS NULL AND seq IN (SELECT seq FROM attempt WHERE end = 'open')
  THEN 'unknown' ELSE outcome END, count(*)
FROM trigger GROUP BY 1
"""
