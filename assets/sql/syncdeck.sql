-- All that Heroku Connect does not know: the queue of units, attempts, sync errors, the operators' audit, commands,
-- cursors, leases, the log. Written by engines and operators only, never by an application's transaction.

CREATE SCHEMA IF NOT EXISTS syncdeck;

-- The stamp of what was laid out, so that an engine that only starts again touches no table.
CREATE TABLE IF NOT EXISTS syncdeck.layout (
    name text PRIMARY KEY,
    stamp text NOT NULL
);

-- One row per record with unsent work; the primary key is what makes two sends of one record at once impossible (I2).
CREATE TABLE IF NOT EXISTS syncdeck.unit (
    table_name varchar(128) NOT NULL,
    record_id integer NOT NULL,
    state text NOT NULL CONSTRAINT unit_state_check
        CHECK (state IN ('ready', 'inflight', 'held', 'failed', 'review', 'stopped', 'writeback')),
    ready_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    token text,
    lease_until timestamptz,
    -- grows with every change that joins; the acknowledgement deletes the unit only at the version it was read at
    version bigint NOT NULL DEFAULT 1,
    -- rejections of the record itself since a person or a new change last touched it (I8)
    attempts integer NOT NULL DEFAULT 0,
    -- answers that never came, whatever the batch, and those of a batch of one
    lost integer NOT NULL DEFAULT 0,
    lost_alone integer NOT NULL DEFAULT 0,
    held_table varchar(128),
    held_record integer,
    -- instead of held_record, for a row that is not here yet: its external id
    held_key text,
    -- the same as the row has it, for people: held_key is as Salesforce compares it
    held_text text,
    -- set when Salesforce accepted an insert whose row was locked: the record's id, known here before the row knows
    sfid varchar(18),
    -- the record is gone, and is to be created again from the whole row
    recreate boolean NOT NULL DEFAULT false,
    -- the newest entry of its first send as a new record, whose answer may be lost: what it carried is not sent as changed
    first_upto integer,
    -- outcome to write back into a row that was locked: {"lastop", "err", "sfid", "upto"}; with "keeps", lastop and err only in place of PENDING
    outcome jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, record_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX IF NOT EXISTS unit_ready ON syncdeck.unit (ready_at) WHERE state = 'ready';
CREATE INDEX IF NOT EXISTS unit_inflight ON syncdeck.unit (lease_until) WHERE state = 'inflight';
-- What waits, from the oldest on: one index for lists, for the oldest of a mapping and for what is stopped. Each one more is
-- written to by every intake and every claim.
CREATE INDEX IF NOT EXISTS unit_waits ON syncdeck.unit (table_name, state, created_at, record_id)
    WHERE state IN ('ready', 'held', 'stopped', 'review');
CREATE INDEX IF NOT EXISTS unit_held ON syncdeck.unit (held_table, held_record) WHERE state = 'held';
CREATE INDEX IF NOT EXISTS unit_held_key ON syncdeck.unit (held_table, held_key) WHERE state = 'held';
-- Answers that were lost, and records that units know before their rows do.
CREATE INDEX IF NOT EXISTS unit_lost ON syncdeck.unit (table_name) WHERE lost > 0;
CREATE INDEX IF NOT EXISTS unit_sfid ON syncdeck.unit (table_name, sfid) WHERE sfid IS NOT NULL;
CREATE INDEX IF NOT EXISTS unit_writeback ON syncdeck.unit (ready_at) WHERE outcome IS NOT NULL;

-- Units that go by one ingest job of Bulk API 2.0, under one token. As long as it is here none of them goes another way, whatever
-- becomes of their engine: their own lease has no end, this one has. Deleted when what became of each is known.
CREATE TABLE IF NOT EXISTS syncdeck.write_job (
    token text PRIMARY KEY,
    table_name varchar(128) NOT NULL,
    -- the engine that drives it, and until when no other one may
    owner text NOT NULL,
    lease_until timestamptz NOT NULL,
    -- Salesforce's id; without one nobody can have it worked off
    job varchar(18),
    -- update, upsert or delete, and the field by which its results are matched with its units
    operation text,
    key_field text,
    -- set before Salesforce is told that the upload is complete; until then it works on none of it
    closed boolean NOT NULL DEFAULT false,
    -- what is needed to acknowledge each unit, as domain::changes::write_job::JobUnit
    units jsonb,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS syncdeck.attempt (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    table_name varchar(128) NOT NULL,
    record_id integer NOT NULL,
    batch text NOT NULL,
    op text NOT NULL,
    upto integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'lost')),
    code text,
    message text,
    -- as text, for numbers are shown as they went: 1.0E7 stays that (an installation from before has jsonb, which takes both)
    request json,
    -- what Salesforce answered for this record
    response json
);
CREATE INDEX IF NOT EXISTS attempt_record ON syncdeck.attempt (table_name, record_id, id);
CREATE INDEX IF NOT EXISTS attempt_at ON syncdeck.attempt (at);

CREATE TABLE IF NOT EXISTS syncdeck.error (
    id bigserial PRIMARY KEY,
    mapping text NOT NULL,
    table_name varchar(128) NOT NULL,
    record_id integer,
    sfid varchar(18),
    op text NOT NULL,
    -- who found it: salesforce, engine (before sending), postgres
    source text NOT NULL DEFAULT 'salesforce',
    code text NOT NULL,
    category text NOT NULL,
    class text NOT NULL,
    message text NOT NULL,
    fields text[] NOT NULL DEFAULT '{}',
    fingerprint text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    state text NOT NULL,
    next_retry_at timestamptz,
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- the values that were sent, so that a free word of the filter finds them
    sent text NOT NULL DEFAULT '',
    -- the newest change it is about; an ignored error stays so until a later one fails
    upto integer,
    resolved_at timestamptz,
    resolution text,
    -- the entry of _trigger_log that it is about, where that fits no row
    entry integer
);
ALTER TABLE syncdeck.error ADD COLUMN IF NOT EXISTS entry integer;
-- At most one unresolved error per row and per entry; for reads, mappings and the connection per code.
CREATE UNIQUE INDEX IF NOT EXISTS error_row ON syncdeck.error (table_name, record_id)
    WHERE resolved_at IS NULL AND record_id IS NOT NULL;
DROP INDEX IF EXISTS syncdeck.error_whole;
CREATE UNIQUE INDEX IF NOT EXISTS error_subject ON syncdeck.error (mapping, op, code)
    WHERE resolved_at IS NULL AND record_id IS NULL AND sfid IS NULL AND entry IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS error_entry ON syncdeck.error (entry)
    WHERE resolved_at IS NULL AND entry IS NOT NULL;
-- A record that PostgreSQL refuses has no row, or keeps one that should go.
CREATE UNIQUE INDEX IF NOT EXISTS error_record ON syncdeck.error (table_name, sfid)
    WHERE resolved_at IS NULL AND record_id IS NULL AND sfid IS NOT NULL;
CREATE INDEX IF NOT EXISTS error_listed ON syncdeck.error (last_seen DESC, id DESC) WHERE resolved_at IS NULL;

-- What operators did, an entry for each row that an operation changed; `act` is what one person decided at once.
CREATE SEQUENCE IF NOT EXISTS syncdeck.act;
CREATE TABLE IF NOT EXISTS syncdeck.audit (
    id bigserial PRIMARY KEY,
    act bigint NOT NULL DEFAULT nextval('syncdeck.act'),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    -- the address of the SSH client, or 'local'
    origin text NOT NULL DEFAULT 'local',
    -- the role that PostgreSQL let in: the two above are what the operator's surroundings claim
    db_user text,
    action text NOT NULL,
    mapping text NOT NULL,
    table_name varchar(128) NOT NULL,
    record_id integer,
    error_id bigint,
    before jsonb,
    after jsonb,
    -- in the operator's words
    why text,
    -- the entry that this one takes back
    undoes bigint
);

-- Records whose rows were written by hand from values that a read may have overtaken: the reader looks once more.
CREATE TABLE IF NOT EXISTS syncdeck.reread (
    table_name varchar(128) NOT NULL,
    sfid varchar(18) NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- an event says that it was deleted: where it is not found, its row goes
    deleted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (table_name, sfid)
);
ALTER TABLE syncdeck.reread ADD COLUMN IF NOT EXISTS deleted boolean NOT NULL DEFAULT false;

-- Salesforce's change events of a mapping. Whoever listens notes here what they ask for; its reader does it.
CREATE TABLE IF NOT EXISTS syncdeck.change_events (
    mapping text PRIMARY KEY,
    -- the last event of which everything is noted: its records in reread, or a poll below
    replay_id bigint,
    -- a poll that is to be made at once, until it is done
    poll_at timestamptz,
    -- whether events come, since when that is so, and why not
    flows boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text,
    last_event timestamptz
);

-- Records that PostgreSQL refuses to store, or of which it keeps the row: by id until it does, each with an error.
CREATE TABLE IF NOT EXISTS syncdeck.refused (
    table_name varchar(128) NOT NULL,
    sfid varchar(18) NOT NULL,
    deed text NOT NULL CHECK (deed IN ('store', 'remove')),
    -- what refuses it: those of one cause are tried a few at a time
    cause text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    tries integer NOT NULL DEFAULT 1,
    retry_at timestamptz NOT NULL,
    PRIMARY KEY (table_name, sfid)
);
CREATE INDEX IF NOT EXISTS refused_due ON syncdeck.refused (table_name, cause, retry_at);

-- Records that may be those of plain inserts whose answer was lost: a person says which, and until then they get no row of
-- their own.
CREATE TABLE IF NOT EXISTS syncdeck.candidate (
    table_name varchar(128) NOT NULL,
    record_id integer NOT NULL,
    sfid varchar(18) NOT NULL,
    -- the fields in which it is not as it was sent, by API names
    differs text[] NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, record_id, sfid)
);

CREATE TABLE IF NOT EXISTS syncdeck.command (
    id bigserial PRIMARY KEY,
    kind text NOT NULL,
    args jsonb NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_at timestamptz,
    done_at timestamptz,
    result jsonb,
    failure text,
    -- of one that takes long: how far it is, by the engine; when it said so; when whoever asked still wanted it; and whether
    -- that one wants it stopped
    progress jsonb,
    told_at timestamptz,
    wanted_at timestamptz,
    stop boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS command_waiting ON syncdeck.command (id) WHERE taken_at IS NULL;

-- How far a mapping was read, and what is known of it.
CREATE TABLE IF NOT EXISTS syncdeck.mapping (
    name text PRIMARY KEY,
    table_name varchar(128) NOT NULL,
    position integer NOT NULL,
    access text NOT NULL,
    -- describe of the mapped fields, as domain::field::Field
    fields jsonb NOT NULL DEFAULT '[]',
    -- the whole mapping with its rules as they are in force, as domain::mapping::Mapping
    definition jsonb,
    -- the rules as the configuration says them, key and text; those set at run time come before them
    configured jsonb,
    -- whether rows are sent: 'on', 'paused' by a person, 'stopped' by the strategy fail_fast, 'draining' when only the
    -- changes up to drain_upto still are; and why
    writes text NOT NULL DEFAULT 'on',
    writes_detail text,
    drain_upto integer,
    -- goes up with every rule set at run time
    rules_version bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'loading',
    detail text,
    row_count bigint NOT NULL DEFAULT 0,
    records bigint,
    load_done boolean NOT NULL DEFAULT false,
    read_cursor timestamptz,
    deletes_cursor timestamptz,
    last_read timestamptz,
    last_write timestamptz,
    records_read bigint NOT NULL DEFAULT 0,
    -- since when somebody wants everything read again
    reload_at timestamptz,
    -- of a load that goes on: since when, and how many records of how many
    load_began_at timestamptz,
    load_records bigint,
    load_total bigint,
    -- the job of Bulk API 2.0 that it reads by, as postgres::tables::load::LoadJob
    load_job jsonb,
    -- since when every answer was a rejection
    failing_since timestamptz
);

-- Rules of mappings set at run time; they come before those of the configuration.
CREATE TABLE IF NOT EXISTS syncdeck.setting (
    mapping text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (mapping, key)
);

-- Fields that changed on both sides; the losing value is kept. Without a winner, a person chooses.
CREATE TABLE IF NOT EXISTS syncdeck.conflict (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    mapping text NOT NULL,
    table_name varchar(128) NOT NULL,
    record_id integer NOT NULL,
    column_name text NOT NULL,
    base text,
    postgres text,
    salesforce text,
    -- the newest change of the row's side that it is about
    upto integer NOT NULL,
    winner text CHECK (winner IN ('postgres', 'salesforce')),
    -- the policy, or who chose
    decided_by text,
    decided_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS conflict_open ON syncdeck.conflict (table_name, record_id, column_name)
    WHERE winner IS NULL;
CREATE INDEX IF NOT EXISTS conflict_record ON syncdeck.conflict (table_name, record_id, id);

-- One row each poll that found something, load and spell of sending of a mapping: what it did, and what went wrong.
CREATE TABLE IF NOT EXISTS syncdeck.run (
    id bigserial PRIMARY KEY,
    mapping text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('load', 'poll', 'send')),
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    records bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    codes jsonb NOT NULL DEFAULT '{}',
    failure text
);
CREATE INDEX IF NOT EXISTS run_mapping ON syncdeck.run (mapping, id);
CREATE INDEX IF NOT EXISTS run_began ON syncdeck.run (began_at);

-- What became of each mapping's records, minute by minute.
CREATE TABLE IF NOT EXISTS syncdeck.minute (
    mapping text NOT NULL,
    minute timestamptz NOT NULL,
    accepted bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    read bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (mapping, minute)
);

-- The last fetch of a record's values, kept for the hours when no engine can fetch them.
CREATE TABLE IF NOT EXISTS syncdeck.fetched (
    table_name varchar(128) NOT NULL,
    record_id integer NOT NULL,
    fetched_at timestamptz NOT NULL,
    value jsonb NOT NULL,
    PRIMARY KEY (table_name, record_id)
);

CREATE TABLE IF NOT EXISTS syncdeck.lease (
    name text PRIMARY KEY,
    owner text NOT NULL,
    until timestamptz NOT NULL
);

-- The connection's and the engine's state, one row each engine writes while it lives.
CREATE TABLE IF NOT EXISTS syncdeck.engine (
    owner text PRIMARY KEY,
    state text NOT NULL,
    connection text NOT NULL,
    environment text NOT NULL,
    connection_state text NOT NULL,
    connection_detail text,
    api_used bigint,
    api_limit bigint,
    instance_url text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS syncdeck.log (
    id bigserial PRIMARY KEY,
    time timestamptz NOT NULL,
    level text NOT NULL,
    source text NOT NULL,
    dyno text NOT NULL,
    message text NOT NULL,
    fields jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS log_time ON syncdeck.log (time);
-- What speaks of one row.
CREATE INDEX IF NOT EXISTS log_row ON syncdeck.log ((fields->>'row'), (fields->>'mapping'), id)
    WHERE fields->>'row' IS NOT NULL;

-- Counters that only grow, one row a name; what the report and the status add up.
CREATE TABLE IF NOT EXISTS syncdeck.counter (
    name text PRIMARY KEY,
    value bigint NOT NULL DEFAULT 0
);

-- How many sync errors need somebody (by the minute that saw them first), and how many units wait or are held. Counting a
-- million of them takes 0.7 s, and every console asks several times a second: so each statement that changes them adds
-- the difference, in its own transaction and waiting for nobody, and the engine adds the lines up now and then.
CREATE TABLE IF NOT EXISTS syncdeck.count (
    subject text NOT NULL CHECK (subject IN ('error', 'pending', 'held')),
    -- the mapping of errors, the table of units
    name text NOT NULL,
    category text NOT NULL DEFAULT '',
    -- of what is older than an hour, none
    minute timestamptz NOT NULL DEFAULT '-infinity',
    n bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS count_subject ON syncdeck.count (subject, name, category, minute);

-- What an installation from before lacks, or has under a name that meant two things.
DROP INDEX IF EXISTS syncdeck.unit_waiting, syncdeck.unit_listed, syncdeck.unit_stopped, syncdeck.unit_oldest;
ALTER TABLE syncdeck.unit DROP CONSTRAINT IF EXISTS unit_state_check;
ALTER TABLE syncdeck.unit ADD CONSTRAINT unit_state_check
    CHECK (state IN ('ready', 'inflight', 'held', 'failed', 'review', 'stopped', 'writeback'));
ALTER TABLE syncdeck.unit ADD COLUMN IF NOT EXISTS recreate boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS first_upto integer;
ALTER TABLE syncdeck.unit ADD COLUMN IF NOT EXISTS held_text text;
ALTER TABLE syncdeck.attempt ADD COLUMN IF NOT EXISTS response json;
ALTER TABLE syncdeck.error ADD COLUMN IF NOT EXISTS source text NOT NULL DEFAULT 'salesforce';
ALTER TABLE syncdeck.mapping ADD COLUMN IF NOT EXISTS definition jsonb,
    ADD COLUMN IF NOT EXISTS rules_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS writes text NOT NULL DEFAULT 'on', ADD COLUMN IF NOT EXISTS writes_detail text,
    ADD COLUMN IF NOT EXISTS drain_upto integer, ADD COLUMN IF NOT EXISTS reload_at timestamptz,
    ADD COLUMN IF NOT EXISTS load_began_at timestamptz, ADD COLUMN IF NOT EXISTS load_records bigint,
    ADD COLUMN IF NOT EXISTS load_total bigint, ADD COLUMN IF NOT EXISTS failing_since timestamptz;
ALTER TABLE syncdeck.mapping ADD COLUMN IF NOT EXISTS configured jsonb, ADD COLUMN IF NOT EXISTS load_job jsonb;
ALTER TABLE syncdeck.command ADD COLUMN IF NOT EXISTS progress jsonb, ADD COLUMN IF NOT EXISTS told_at timestamptz,
    ADD COLUMN IF NOT EXISTS wanted_at timestamptz, ADD COLUMN IF NOT EXISTS stop boolean NOT NULL DEFAULT false;
ALTER TABLE syncdeck.engine ADD COLUMN IF NOT EXISTS instance_url text;
ALTER TABLE syncdeck.audit ADD COLUMN IF NOT EXISTS act bigint NOT NULL DEFAULT nextval('syncdeck.act'),
    ADD COLUMN IF NOT EXISTS origin text NOT NULL DEFAULT 'local', ADD COLUMN IF NOT EXISTS why text,
    ADD COLUMN IF NOT EXISTS undoes bigint;
ALTER TABLE syncdeck.audit ADD COLUMN IF NOT EXISTS db_user text;
CREATE INDEX IF NOT EXISTS audit_record ON syncdeck.audit (table_name, record_id, id);
CREATE INDEX IF NOT EXISTS audit_act ON syncdeck.audit (act, id);
-- An entry is taken back once.
CREATE UNIQUE INDEX IF NOT EXISTS audit_undoes ON syncdeck.audit (undoes);

DROP INDEX IF EXISTS syncdeck.error_listed_mapping;
-- It allowed one error a code of all the records that PostgreSQL refuses.
DROP INDEX IF EXISTS syncdeck.error_mapping;

-- The audit only grows, whoever asks: even its owner would have to take the trigger away first, in so many words.
CREATE OR REPLACE FUNCTION syncdeck.audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    RAISE EXCEPTION '% of syncdeck.audit is refused: the audit only grows', TG_OP;
END $function$;
DROP TRIGGER IF EXISTS audit_only_grows ON syncdeck.audit;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON syncdeck.audit
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.audit_only_grows();
ALTER TABLE syncdeck.audit ENABLE ALWAYS TRIGGER audit_only_grows;
-- Who was let in is written by PostgreSQL, whatever the statement says.
CREATE OR REPLACE FUNCTION syncdeck.audit_names_role() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    NEW.db_user := session_user;
    RETURN NEW;
END $function$;
DROP TRIGGER IF EXISTS audit_names_role ON syncdeck.audit;
CREATE TRIGGER audit_names_role BEFORE INSERT ON syncdeck.audit
    FOR EACH ROW EXECUTE FUNCTION syncdeck.audit_names_role();
ALTER TABLE syncdeck.audit ENABLE ALWAYS TRIGGER audit_names_role;
REVOKE UPDATE, DELETE, TRUNCATE ON syncdeck.audit FROM PUBLIC, CURRENT_USER;

-- Whoever may write errors and units has them counted, with no right of their own on the counts.
CREATE OR REPLACE FUNCTION syncdeck.count_errors() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO syncdeck.count (subject, name, category, minute, n)
        SELECT 'error', mapping, category, date_trunc('minute', first_seen), sum(n)
        FROM (SELECT mapping, category, first_seen, state, resolved_at, 1 AS n FROM after
              UNION ALL SELECT mapping, category, first_seen, state, resolved_at, -1 FROM before) changed
        WHERE resolved_at IS NULL AND state NOT IN ('held', 'ignored') GROUP BY 2, 3, 4 HAVING sum(n) <> 0;
    ELSE
        INSERT INTO syncdeck.count (subject, name, category, minute, n)
        SELECT 'error', mapping, category, date_trunc('minute', first_seen),
            count(*) * CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END
        FROM changed WHERE resolved_at IS NULL AND state NOT IN ('held', 'ignored') GROUP BY 2, 3, 4;
    END IF;
    RETURN NULL;
END $function$;
CREATE OR REPLACE FUNCTION syncdeck.count_units() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO syncdeck.count (subject, name, n)
        SELECT CASE state WHEN 'held' THEN 'held' ELSE 'pending' END, table_name, sum(n)
        FROM (SELECT table_name, state, 1 AS n FROM after UNION ALL SELECT table_name, state, -1 FROM before) changed
        WHERE state IN ('ready', 'inflight', 'stopped', 'held') GROUP BY 1, 2 HAVING sum(n) <> 0;
    ELSE
        INSERT INTO syncdeck.count (subject, name, n)
        SELECT CASE state WHEN 'held' THEN 'held' ELSE 'pending' END, table_name,
            count(*) * CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END
        FROM changed WHERE state IN ('ready', 'inflight', 'stopped', 'held') GROUP BY 1, 2;
    END IF;
    RETURN NULL;
END $function$;
DROP TRIGGER IF EXISTS count_insert ON syncdeck.error;
CREATE TRIGGER count_insert AFTER INSERT ON syncdeck.error REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.count_errors();
DROP TRIGGER IF EXISTS count_update ON syncdeck.error;
CREATE TRIGGER count_update AFTER UPDATE ON syncdeck.error REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.count_errors();
DROP TRIGGER IF EXISTS count_delete ON syncdeck.error;
CREATE TRIGGER count_delete AFTER DELETE ON syncdeck.error REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.count_errors();
DROP TRIGGER IF EXISTS count_insert ON syncdeck.unit;
CREATE TRIGGER count_insert AFTER INSERT ON syncdeck.unit REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.count_units();
DROP TRIGGER IF EXISTS count_update ON syncdeck.unit;
CREATE TRIGGER count_update AFTER UPDATE ON syncdeck.unit REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.count_units();
DROP TRIGGER IF EXISTS count_delete ON syncdeck.unit;
CREATE TRIGGER count_delete AFTER DELETE ON syncdeck.unit REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION syncdeck.count_units();
-- Counted from the beginning once with each new layout, while nobody else can write to the two tables.
DELETE FROM syncdeck.count;
INSERT INTO syncdeck.count (subject, name, category, minute, n)
SELECT 'error', mapping, category, CASE WHEN first_seen > clock_timestamp() - interval '1 hour'
    THEN date_trunc('minute', first_seen) ELSE '-infinity' END, count(*)
FROM syncdeck.error WHERE resolved_at IS NULL AND state NOT IN ('held', 'ignored') GROUP BY 2, 3, 4
UNION ALL SELECT CASE state WHEN 'held' THEN 'held' ELSE 'pending' END, table_name, '', '-infinity', count(*)
FROM syncdeck.unit WHERE state IN ('ready', 'inflight', 'stopped', 'held') GROUP BY 1, 2;

-- Takeovers of a schema that was there before: who did it, when, and whether it was taken back.
CREATE TABLE IF NOT EXISTS syncdeck.adoption (
    id bigserial PRIMARY KEY,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    adopted_by text NOT NULL DEFAULT session_user,
    undone_at timestamptz,
    undone_by text
);

-- What a takeover replaced, removed or made, as statements that make it: before is NULL where it made something, after
-- where it removed something.
CREATE TABLE IF NOT EXISTS syncdeck.replaced (
    adoption bigint NOT NULL REFERENCES syncdeck.adoption,
    kind text NOT NULL CONSTRAINT replaced_kind_check CHECK (kind IN ('trigger', 'function', 'index', 'column', 'table')),
    name text NOT NULL,
    relation text NOT NULL,
    before text,
    after text,
    PRIMARY KEY (adoption, kind, name)
);
