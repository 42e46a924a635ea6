-- What people do: pauses and wishes to skip that are in force, and every act with who, when and why.

ALTER TABLE runs ADD COLUMN even_paused INTEGER NOT NULL DEFAULT 0;   -- 1: may start although its schedule is paused
-- What a pause passed over, to be caught up when somebody wants that.
CREATE INDEX runs_paused ON runs (schedule, set_name, instant) WHERE reason = 'paused';

CREATE TABLE pauses (
    scope TEXT PRIMARY KEY,                -- the name of a schedule, or * for all
    since INTEGER NOT NULL,
    until INTEGER,                         -- NULL: until somebody resumes
    who   TEXT NOT NULL,
    note  TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE skips (
    schedule  TEXT NOT NULL,
    set_name  TEXT NOT NULL,
    what      TEXT NOT NULL,               -- next, or "on" with a date, or "at" with a time
    remaining INTEGER NOT NULL,            -- how many `next` still counts
    at        INTEGER NOT NULL,
    who       TEXT NOT NULL,
    note      TEXT,
    PRIMARY KEY (schedule, set_name, what)
) STRICT, WITHOUT ROWID;

-- Append-only, in the order of `key`.
CREATE TABLE acts (
    key      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    note     TEXT,
    act      TEXT NOT NULL,
    schedule TEXT,
    run      TEXT,
    said     TEXT NOT NULL                 -- what was answered
) STRICT;
CREATE INDEX acts_at ON acts (at);
