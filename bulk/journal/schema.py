"""The journal's tables and their format version; knows SQL and nothing else.

`trigger` holds every cell of the batch from before the first send; its outcome is NULL until it has
one. `attempt` holds a row from just before a request leaves; its end is 'open' until it has one.
"""

FORMAT_VERSION = 1
APPLICATION_ID = 0x42547231  # "BTr1": tells our files from other SQLite databases

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trigger (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  test_id TEXT NOT NULL, platform TEXT, mode TEXT, device_model TEXT,
  app_id TEXT, environment_id TEXT, repetition INTEGER NOT NULL,
  name TEXT NOT NULL, tags TEXT NOT NULL, line INTEGER NOT NULL, own TEXT NOT NULL,
  outcome TEXT CHECK (outcome IN ('queued', 'rejected', 'throttled', 'unknown', 'unsent')),
  failure_code TEXT, run_id TEXT, http_status INTEGER, error TEXT, message TEXT, finished_at REAL,
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
  headers TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE session (
  id INTEGER PRIMARY KEY, started_at REAL NOT NULL, elapsed_s REAL, stop TEXT, stop_detail TEXT
);
"""

INSERT_TRIGGER = """
INSERT INTO trigger (key, test_id, platform, mode, device_model, app_id, environment_id, repetition,
                     name, tags, line, own)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

SELECT_PENDING = """
SELECT seq, test_id, platform, mode, device_model, app_id, environment_id, repetition,
       name, tags, line, own
FROM trigger WHERE outcome IS NULL AND seq > ? ORDER BY seq LIMIT ?
"""

INSERT_INTENT = "INSERT INTO attempt (id, seq, number, sent_at) VALUES (?, ?, ?, ?)"

END_ATTEMPT = """
UPDATE attempt SET end = ?, sent_at = ?, received_at = ?, wait_ms = ?, latency_ms = ?,
  in_flight = ?, http_status = ?, failure_code = ?, run_id = ?, error = ?, message = ?, headers = ?
WHERE id = ?
"""

END_TRIGGER = """
UPDATE trigger SET outcome = ?, failure_code = ?, run_id = ?, http_status = ?, error = ?,
  message = ?, finished_at = ?
WHERE seq = ? AND outcome IS NULL
"""

# An intent without an end: the process died between the two. It may have been executed.
SETTLE_OPEN_TRIGGERS = """
UPDATE trigger SET outcome = 'unknown', failure_code = 'interrupted',
  message = 'the process ended before the answer was recorded'
WHERE outcome IS NULL AND seq IN (SELECT seq FROM attempt WHERE end = 'open')
"""
SETTLE_OPEN_ATTEMPTS = """
UPDATE attempt SET end = 'unknown', failure_code = 'interrupted',
  message = 'the process ended before the answer was recorded'
WHERE end = 'open'
"""
# Never executed and not refused for good: a resumed batch takes them up again.
REOPEN_UNSENT = """
UPDATE trigger SET outcome = NULL, failure_code = NULL, http_status = NULL, error = NULL,
  message = NULL, finished_at = NULL
WHERE outcome = 'unsent'
"""

SELECT_RESULTS = """
SELECT t.seq, t.test_id, t.platform, t.mode, t.device_model, t.app_id, t.environment_id,
       t.repetition, t.name, t.tags, t.line, t.own,
       t.outcome, t.failure_code, t.run_id, t.http_status, t.error, t.message, t.finished_at,
       coalesce(a.attempts, 0), coalesce(a.throttles, 0), a.wait_ms, last.latency_ms, a.total_ms,
       a.first_sent_at, last.end
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
       a.in_flight, a.http_status, a.failure_code, a.run_id, a.error, a.message, a.headers
FROM attempt a JOIN trigger t ON t.seq = a.seq ORDER BY a.id
"""

SELECT_SESSION_ENDS = "SELECT stop, stop_detail, elapsed_s FROM session ORDER BY id"
COUNT_OUTCOMES = "SELECT outcome, count(*) FROM trigger GROUP BY outcome"
