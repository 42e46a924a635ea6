-- Times are whole nanoseconds since 1970-01-01T00:00:00Z; the ends of the column stand for the ends of time.
-- Columns that hold a choice hold its word. `key` is a row number and has no meaning outside this file.

CREATE TABLE meta (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    instance TEXT,
    mark     INTEGER,                      -- every occurrence of every open series up to here is decided
    probes   INTEGER NOT NULL DEFAULT 0    -- written to learn whether writing works
) STRICT;
INSERT INTO meta (only) VALUES (1);

CREATE TABLE lease (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    epoch   INTEGER NOT NULL,              -- grows with each acquisition, never goes back
    pid     INTEGER,                       -- with host, started, until: NULL when nobody holds it
    host    TEXT,
    started INTEGER,
    until   INTEGER
) STRICT;
INSERT INTO lease (only, epoch) VALUES (1, 0);

-- Each definition once, found by its content.
CREATE TABLE definitions (
    key        INTEGER PRIMARY KEY,
    hash       INTEGER NOT NULL,           -- of body and parameters; equal hashes are told apart by the texts
    body       TEXT NOT NULL,
    parameters TEXT NOT NULL
) STRICT;
CREATE INDEX definitions_hash ON definitions (hash);

CREATE TABLE runs (
    key          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    schedule     TEXT NOT NULL,
    set_name     TEXT NOT NULL,
    instant      INTEGER NOT NULL,
    generation   INTEGER,                  -- NULL for a run by hand
    civil        TEXT NOT NULL,
    fold         TEXT NOT NULL,
    due          INTEGER NOT NULL,
    origin       TEXT NOT NULL,
    planned      INTEGER NOT NULL,
    config       TEXT NOT NULL,
    definition   INTEGER NOT NULL REFERENCES definitions (key),
    parameters   TEXT,                     -- NULL: those of the definition
    state        TEXT NOT NULL,
    outcome      TEXT,                     -- of a finished run
    reason       TEXT,                     -- of a skip
    detail       TEXT,                     -- what the state holds
    attempt      INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    beside       INTEGER NOT NULL DEFAULT 0,   -- 1: may run beside others of its series
    cancel       TEXT,
    fault        TEXT,
    job          TEXT,
    submitted    INTEGER,
    finished     INTEGER,
    changed_wall INTEGER NOT NULL,         -- both clocks at the last change: elapsed times in `detail` are relative
    changed_mono INTEGER NOT NULL,
    ended        INTEGER,                  -- of a finished run: when it finished, else when it was decided
    lost_until   INTEGER                   -- of a lost run: until then its job may live
) STRICT;
CREATE INDEX runs_series ON runs (schedule, set_name, instant);
CREATE INDEX runs_instant ON runs (instant);
CREATE INDEX runs_planned ON runs (planned);
CREATE INDEX runs_definition ON runs (definition);
CREATE INDEX runs_live ON runs (instant) WHERE state <> 'finished';
CREATE INDEX runs_ended ON runs (ended) WHERE ended IS NOT NULL;
CREATE INDEX runs_lost ON runs (lost_until) WHERE lost_until IS NOT NULL;

-- Append-only: what happened to a run, in the order of `key`.
CREATE TABLE run_events (
    key     INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    what    TEXT NOT NULL,
    state   TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    why     TEXT,
    fault   TEXT,
    job     TEXT
) STRICT;
CREATE INDEX run_events_run ON run_events (run);

CREATE TABLE cursors (
    schedule   TEXT NOT NULL,
    set_name   TEXT NOT NULL,
    upto       INTEGER NOT NULL,
    definition INTEGER NOT NULL REFERENCES definitions (key),
    closed     INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
    PRIMARY KEY (schedule, set_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX cursors_definition ON cursors (definition);

CREATE TABLE missed (
    key      INTEGER PRIMARY KEY,
    schedule TEXT NOT NULL,
    set_name TEXT NOT NULL,
    after    INTEGER NOT NULL,             -- not part of the range
    upto     INTEGER NOT NULL,             -- part of the range
    count    INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX missed_series ON missed (schedule, set_name, after);
CREATE INDEX missed_at ON missed (at);

CREATE TABLE notices (
    key      INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    kind     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    schedule TEXT,
    run      TEXT,
    subject  TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX notices_run ON notices (run) WHERE run IS NOT NULL;
CREATE INDEX notices_at ON notices (at);

CREATE TABLE connections (
    name     TEXT PRIMARY KEY,
    accepted TEXT NOT NULL,                -- [[job, time], …], oldest first
    proven   INTEGER
) STRICT, WITHOUT ROWID;
