
-- Causes of errors and their lives. Written by whichever engine looks at errors, and by operators, who own, note and mute.
CREATE TABLE IF NOT EXISTS syncdeck.cause (
    fingerprint text COLLATE "C" PRIMARY KEY,
    mapping text NOT NULL,
    code text NOT NULL,
    category text NOT NULL,
    fields text[] NOT NULL,
    title text NOT NULL,
    why text NOT NULL,
    -- what its errors have in common: names and values
    key jsonb NOT NULL,
    -- whether it has errors that somebody must mend
    open boolean NOT NULL,
    -- as domain::errors::cause::Course
    course jsonb NOT NULL,
    -- whether some of its errors are counted anew at each look
    busy boolean NOT NULL DEFAULT false,
    owner text,
    note text,
    -- as domain::errors::cause::Mute
    mute jsonb,
    changed_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS cause_open ON syncdeck.cause (fingerprint) WHERE open;
CREATE INDEX IF NOT EXISTS cause_watched ON syncdeck.cause (fingerprint) WHERE busy OR mute IS NOT NULL;

-- How far errors were looked at. Numbers are given before they are committed: what came before `settled` is counted for
-- good, what came behind it is counted at each look, and `next` is where `settled` will be. One row, which whoever looks
-- locks.
CREATE TABLE IF NOT EXISTS syncdeck.cause_mark (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    settled bigint NOT NULL DEFAULT 0,
    next bigint NOT NULL DEFAULT 0,
    next_at timestamptz,
    -- all transactions that could have a number up to `next` have lower ones than this
    next_before bigint NOT NULL DEFAULT 0,
    -- when `next` and `settled` were noted, by PostgreSQL's clock: what was written before the latter is committed
    noted_at timestamptz,
    settled_at timestamptz,
    -- PostgreSQL's clock; nobody looked yet where there is none
    looked_at timestamptz,
    -- the cause up to which it was looked whether causes are mended
    checked text NOT NULL DEFAULT '',
    -- tells whether the rules of the configuration group errors otherwise than they are grouped
    grouping text NOT NULL DEFAULT ''
);
INSERT INTO syncdeck.cause_mark DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Alerts knew causes by themselves before.
DROP TABLE IF EXISTS syncdeck.alert_cause, syncdeck.alert_mark;
