-- How far each channel has come with the notices, by their keys.
CREATE TABLE channels (
    name     TEXT PRIMARY KEY,
    upto     INTEGER NOT NULL,             -- everything up to here is settled
    sending  INTEGER,                      -- what is being sent ends here
    attempts INTEGER NOT NULL DEFAULT 0,   -- how often that was tried
    since    INTEGER,                      -- when it was tried first
    next     INTEGER,                      -- not tried again before
    error    TEXT                          -- why it was not taken
) STRICT, WITHOUT ROWID;

-- What a channel itself calls a thread of messages.
CREATE TABLE threads (
    channel TEXT NOT NULL,
    thread  TEXT NOT NULL,
    name    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (channel, thread)
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_at ON threads (at);
