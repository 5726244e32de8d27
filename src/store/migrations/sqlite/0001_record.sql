-- The record: docs/record.md describes every table and column.

-- What happened, one row per event. The primary key makes a second delivery of the same line harmless.
CREATE TABLE event (
    call    TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    unix_ms INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    word    TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    PRIMARY KEY (call, seq)
) STRICT, WITHOUT ROWID;

-- Exactly one end per call: a second one is refused by the database itself.
CREATE UNIQUE INDEX event_one_end ON event (call) WHERE word = 'ended';

-- One row per call: the fold of its events, written with its arrival and with its end, in their transactions.
CREATE TABLE call (
    call            TEXT    NOT NULL PRIMARY KEY,
    started_unix_ms INTEGER NOT NULL,
    ended_unix_ms   INTEGER,
    trunk           TEXT,
    dialled         TEXT,
    caller          TEXT,
    language        TEXT,
    topic           TEXT,
    menu            TEXT,
    line            TEXT,
    answered_ms     INTEGER,
    bridged_ms      INTEGER NOT NULL,
    keys            INTEGER NOT NULL,
    outcome         TEXT,
    ended_by        TEXT,
    cause           TEXT,
    ms              INTEGER,
    rulebook        TEXT,
    sip_call_id     TEXT,
    flaws           TEXT    NOT NULL,
    -- A call that has ended has an outcome, and one that has an outcome has ended.
    CHECK ((ended_unix_ms IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

-- The few calls in progress: found at once after a crash.
CREATE INDEX call_in_progress ON call (call) WHERE outcome IS NULL;

-- The rules that were in force, as they were written.
CREATE TABLE rulebook (
    hash               TEXT    NOT NULL PRIMARY KEY,
    first_seen_unix_ms INTEGER NOT NULL,
    files              TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
