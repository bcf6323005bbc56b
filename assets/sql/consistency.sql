
-- Consistency: what comparing both sides found, how far a comparison is, and what it cost. Written by the one engine that
-- holds the lease `verify`, and by whoever compares a mapping by hand.

-- Rows and records that were found to differ, at most as many as are listed, each with an error of the operation `verify`.
-- One that is in order again goes, and so does its error.
CREATE TABLE IF NOT EXISTS syncdeck.finding (
    mapping text NOT NULL,
    table_name varchar(128) NOT NULL,
    -- the row's id; of a record without a row, the record's
    subject text NOT NULL,
    record_id integer,
    sfid varchar(18),
    kinds text[] NOT NULL,
    -- of a duplicate, the other rows
    others integer[] NOT NULL DEFAULT '{}',
    -- both sides in a number, as they were looked at
    print bigint NOT NULL,
    -- the comparison that met it last
    round bigint NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- the versions of its rows as they were looked at; when these are others, it is looked at again
    version text,
    due timestamptz,
    PRIMARY KEY (table_name, subject)
);
-- how many seconds go by between two looks: longer and longer while they come to the same
ALTER TABLE syncdeck.finding ADD COLUMN IF NOT EXISTS waits double precision NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS finding_mapping ON syncdeck.finding (mapping);
CREATE INDEX IF NOT EXISTS finding_record ON syncdeck.finding (table_name, sfid);

-- A comparison that goes on: where it is, as engine::verify::Look, and what it waits for.
CREATE TABLE IF NOT EXISTS syncdeck.verify (
    mapping text PRIMARY KEY,
    round bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state jsonb,
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    waits text
);
CREATE SEQUENCE IF NOT EXISTS syncdeck.verify_round;

-- API requests of scheduled comparisons, by the hour.
CREATE TABLE IF NOT EXISTS syncdeck.verify_cost (
    hour timestamptz PRIMARY KEY,
    requests bigint NOT NULL
);

-- `found` is what stands of it now; of that, so many are not listed.
ALTER TABLE syncdeck.verified ADD COLUMN IF NOT EXISTS began_at timestamptz,
    ADD COLUMN IF NOT EXISTS left_out bigint NOT NULL DEFAULT 0;
