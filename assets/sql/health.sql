-- How well the sync goes, for a year: a row for each hour of a mapping, and for each day where that is more than five weeks
-- ago (`span`). Engines add what they counted a few times a second; nothing here is written with a change. Hours and days
-- are those of UTC. Histograms are counts by bucket as domain/health/histogram.rs has them, without the empty ones at the end.

CREATE TABLE IF NOT EXISTS syncdeck.health (
    span text NOT NULL CHECK (span IN ('hour', 'day')),
    at timestamptz NOT NULL,
    mapping text NOT NULL,
    accepted bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    read bigint NOT NULL DEFAULT 0,
    -- sends that repeat one that failed, and how many of those were taken
    repeated bigint NOT NULL DEFAULT 0,
    repeated_accepted bigint NOT NULL DEFAULT 0,
    -- how long changes waited, how long requests took that write, how old what was read was, how old the oldest change was
    waited bigint[] NOT NULL DEFAULT '{}',
    requests bigint[] NOT NULL DEFAULT '{}',
    read_lag bigint[] NOT NULL DEFAULT '{}',
    oldest bigint[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (at, mapping, span)
) WITH (fillfactor = 70);
-- how long requests took that read
ALTER TABLE syncdeck.health ADD COLUMN IF NOT EXISTS reads bigint[] NOT NULL DEFAULT '{}';

-- Errors that came.
CREATE TABLE IF NOT EXISTS syncdeck.health_began (
    span text NOT NULL CHECK (span IN ('hour', 'day')),
    at timestamptz NOT NULL,
    mapping text NOT NULL,
    category text NOT NULL,
    code text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (at, mapping, category, code, span)
);

-- Errors that ended, by how, and by how long they were there.
CREATE TABLE IF NOT EXISTS syncdeck.health_ended (
    span text NOT NULL CHECK (span IN ('hour', 'day')),
    at timestamptz NOT NULL,
    mapping text NOT NULL,
    way text NOT NULL,
    took bigint[] NOT NULL,
    PRIMARY KEY (at, mapping, way, span)
);

-- Two histograms as one.
CREATE OR REPLACE FUNCTION syncdeck.add_counts(one bigint[], other bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT coalesce(pg_catalog.array_agg(coalesce(a, 0) OPERATOR(pg_catalog.+) coalesce(b, 0) ORDER BY place), '{}')
    FROM ROWS FROM (pg_catalog.unnest(one), pg_catalog.unnest(other)) WITH ORDINALITY AS pairs (a, b, place)
$function$;
CREATE OR REPLACE AGGREGATE syncdeck.sum_counts(bigint[]) (SFUNC = syncdeck.add_counts, STYPE = bigint[], INITCOND = '{}');

-- Up to when errors and attempts are summed up. Whoever sums up adds and moves this in one transaction, so that nothing is
-- counted twice; what is later is counted by whoever looks.
CREATE TABLE IF NOT EXISTS syncdeck.health_mark (
    name text PRIMARY KEY,
    upto timestamptz NOT NULL
);

-- What was counted before there were hours.
INSERT INTO syncdeck.health (span, at, mapping, accepted, rejected, lost, read)
SELECT 'hour', date_trunc('hour', minute, 'UTC'), mapping, sum(accepted), sum(rejected), sum(lost), sum(read)
FROM syncdeck.minute WHERE NOT EXISTS (SELECT FROM syncdeck.health_mark) GROUP BY 2, 3
ON CONFLICT DO NOTHING;
INSERT INTO syncdeck.health_mark (name, upto)
SELECT 'errors', date_trunc('hour', least((SELECT min(at) FROM syncdeck.attempt),
    (SELECT min(first_seen) FROM syncdeck.error), clock_timestamp()), 'UTC')
ON CONFLICT DO NOTHING;
