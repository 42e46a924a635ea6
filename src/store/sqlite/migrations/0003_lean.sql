-- A herd writes as little as it can: one index says which run it is, in the order in which histories are read; what
-- serves retention and a start only is found by indexes that hold few runs, or none.

-- What a notice is about, to be found by the one index.
ALTER TABLE notices ADD COLUMN set_name TEXT;
ALTER TABLE notices ADD COLUMN instant INTEGER;
UPDATE notices SET (set_name, instant) = (SELECT set_name, instant FROM runs WHERE id = notices.run)
    WHERE run IS NOT NULL;

-- Whose definition it is: its runs are all of this series.
ALTER TABLE definitions ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
ALTER TABLE definitions ADD COLUMN set_name TEXT NOT NULL DEFAULT '';
UPDATE definitions SET
    schedule = substr(body ->> 'series', 1, instr(body ->> 'series', '/') - 1),
    set_name = substr(body ->> 'series', instr(body ->> 'series', '/') + 1);

-- The table is made anew, since neither a UNIQUE nor a REFERENCES can be taken away.
CREATE TABLE runs_new (
    key          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
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
    definition   INTEGER NOT NULL,         -- a key of definitions, of the same series; kept by retention
    parameters   TEXT,                     -- NULL: those of the definition
    state        TEXT NOT NULL,
    outcome      TEXT,                     -- of a finished run
    reason       TEXT,                     -- of a skip
    detail       TEXT,                     -- what the state holds
    attempt      INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    beside       INTEGER NOT NULL DEFAULT 0,   -- 1: may run beside others of its series
    even_paused  INTEGER NOT NULL DEFAULT 0,   -- 1: may start although its schedule is paused
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
INSERT INTO runs_new (
    key, id, schedule, set_name, instant, generation, civil, fold, due, origin, planned, config,
    definition, parameters, state, outcome, reason, detail, attempt, failures, beside, even_paused,
    cancel, fault, job, submitted, finished, changed_wall, changed_mono, ended, lost_until
) SELECT
    key, id, schedule, set_name, instant, generation, civil, fold, due, origin, planned, config,
    definition, parameters, state, outcome, reason, detail, attempt, failures, beside, even_paused,
    cancel, fault, job, submitted, finished, changed_wall, changed_mono, ended, lost_until
FROM runs ORDER BY key;

CREATE TABLE run_events_new (
    key     INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES runs_new (key) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    what    TEXT NOT NULL,
    state   TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    why     TEXT,
    fault   TEXT,
    job     TEXT
) STRICT;
INSERT INTO run_events_new (key, run, at, what, state, attempt, why, fault, job)
    SELECT key, run, at, what, state, attempt, why, fault, job FROM run_events ORDER BY key;

DROP TABLE run_events;
DROP TABLE runs;
ALTER TABLE runs_new RENAME TO runs;
ALTER TABLE run_events_new RENAME TO run_events;

CREATE INDEX run_events_run ON run_events (run);

-- The identity of a run, and the history of a series.
CREATE UNIQUE INDEX runs_identity ON runs (schedule, set_name, instant, coalesce(generation, id));
CREATE INDEX runs_instant ON runs (instant);
CREATE INDEX runs_live ON runs (instant) WHERE state <> 'finished';
CREATE INDEX runs_ended ON runs (ended) WHERE ended IS NOT NULL;
CREATE INDEX runs_lost ON runs (lost_until) WHERE lost_until IS NOT NULL;
CREATE INDEX runs_paused ON runs (schedule, set_name, instant) WHERE reason = 'paused';
-- Runs that were decided more than an hour after their time.
CREATE INDEX runs_late ON runs (planned) WHERE planned - instant > 3600000000000;
-- Runs that did not end well.
CREATE INDEX runs_unwell ON runs (outcome, instant) WHERE outcome <> 'succeeded';
