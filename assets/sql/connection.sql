-- The part of a connection's schema that does not depend on its mappings, laid out exactly as Heroku Connect's:
-- the change log, its archive, the metadata tables and the two functions that capture a row again by hand.
-- {schema} and {hstore} (the schema that holds the extension hstore) are quoted identifiers.

CREATE SCHEMA IF NOT EXISTS {schema};

CREATE TABLE IF NOT EXISTS {schema}._hcmeta (
    id serial PRIMARY KEY,
    hcver integer,
    org_id varchar(50),
    details text
);

CREATE TABLE IF NOT EXISTS {schema}._sf_event_log (
    id serial PRIMARY KEY,
    table_name varchar(128),
    action varchar(7),
    synced_at timestamptz DEFAULT now(),
    sf_timestamp timestamptz,
    sfid varchar(20),
    record text,
    processed boolean
);
CREATE INDEX IF NOT EXISTS idx__sf_event_log_comp_key ON {schema}._sf_event_log (table_name, synced_at);
CREATE INDEX IF NOT EXISTS idx__sf_event_log_sfid ON {schema}._sf_event_log (sfid);

-- CACHE 1: with a cache per session, ids of one row's changes would not follow their order
-- (measured: 13,328 inversions in 67,000 changes with CACHE 50, none with 1).
CREATE SEQUENCE IF NOT EXISTS {schema}._trigger_log_id_seq AS integer CACHE 1;

CREATE TABLE IF NOT EXISTS {schema}._trigger_log (
    id integer PRIMARY KEY DEFAULT nextval('{schema_literal}._trigger_log_id_seq'),
    txid bigint,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    processed_at timestamptz,
    processed_tx bigint,
    state varchar(8),
    action varchar(7),
    table_name varchar(128),
    record_id integer,
    sfid varchar(18),
    old text,
    values text,
    sf_result integer,
    sf_message text
);
ALTER SEQUENCE {schema}._trigger_log_id_seq OWNED BY {schema}._trigger_log.id;
CREATE INDEX IF NOT EXISTS _trigger_log_idx_created_at ON {schema}._trigger_log (created_at);
CREATE INDEX IF NOT EXISTS _trigger_log_idx_state_id ON {schema}._trigger_log (state, id);
CREATE INDEX IF NOT EXISTS _trigger_log_idx_state_table_name ON {schema}._trigger_log (state, table_name)
    WHERE state IN ('NEW', 'PENDING');
-- Ours: the entries of one record, which is what a unit is made of.
CREATE INDEX IF NOT EXISTS _trigger_log_idx_record ON {schema}._trigger_log (table_name, record_id, id);
-- Ours: records that leave, which a read must not bring back.
CREATE INDEX IF NOT EXISTS _trigger_log_idx_deleted ON {schema}._trigger_log (table_name, sfid) WHERE action = 'DELETE';

CREATE TABLE IF NOT EXISTS {schema}._trigger_log_archive (
    id integer NOT NULL PRIMARY KEY,
    txid bigint,
    created_at timestamptz,
    updated_at timestamptz,
    processed_at timestamptz,
    processed_tx bigint,
    state varchar(8),
    action varchar(7),
    table_name varchar(128),
    record_id integer,
    sfid varchar(18),
    old text,
    values text,
    sf_result integer,
    sf_message text
);
CREATE INDEX IF NOT EXISTS _trigger_log_archive_idx_created_at ON {schema}._trigger_log_archive (created_at);
CREATE INDEX IF NOT EXISTS _trigger_log_archive_idx_record_id ON {schema}._trigger_log_archive (record_id);
CREATE INDEX IF NOT EXISTS _trigger_log_archive_idx_state_table_name
    ON {schema}._trigger_log_archive (state, table_name) WHERE state = 'FAILED';

-- Ours: records left behind by deletes that are not passed on; they must not come back as rows.
CREATE INDEX IF NOT EXISTS _trigger_log_archive_idx_ignored ON {schema}._trigger_log_archive (table_name, sfid)
    WHERE action = 'DELETE' AND state = 'IGNORED';

-- Captures a row again as an insert, from its current values. Returns the log entry's id, NULL without an id.
CREATE OR REPLACE FUNCTION {schema}.hc_capture_insert_from_row(
    source_row {hstore}.hstore, table_name varchar, excluded_cols text[] DEFAULT ARRAY[]::text[]
) RETURNS integer LANGUAGE plpgsql AS $function$
DECLARE
    entry_id integer;
BEGIN
    IF (source_row OPERATOR({hstore}.->) 'id') IS NULL THEN
        RETURN NULL;
    END IF;
    IF excluded_cols && ARRAY['id', 'sfid'] THEN
        RAISE EXCEPTION 'id and sfid cannot be left out of a captured insert';
    END IF;
    INSERT INTO {schema}._trigger_log (txid, created_at, state, action, table_name, record_id, values)
    VALUES (txid_current(), clock_timestamp(), 'NEW', 'INSERT', hc_capture_insert_from_row.table_name,
        (source_row OPERATOR({hstore}.->) 'id')::integer,
        {hstore}.delete(source_row, excluded_cols || ARRAY['_hc_lastop', '_hc_err'])::text)
    RETURNING id INTO entry_id;
    RETURN entry_id;
END $function$;

-- Captures a row again as an update of the given columns (of all when none are given).
CREATE OR REPLACE FUNCTION {schema}.hc_capture_update_from_row(
    source_row {hstore}.hstore, table_name varchar, columns_to_include text[] DEFAULT ARRAY[]::text[]
) RETURNS integer LANGUAGE plpgsql AS $function$
DECLARE
    entry_id integer;
    captured {hstore}.hstore := {hstore}.delete(source_row, ARRAY['_hc_lastop', '_hc_err']);
BEGIN
    IF (source_row OPERATOR({hstore}.->) 'id') IS NULL THEN
        RETURN NULL;
    END IF;
    IF cardinality(columns_to_include) > 0 THEN
        captured := {hstore}.slice(captured, columns_to_include);
    END IF;
    INSERT INTO {schema}._trigger_log (txid, created_at, state, action, table_name, record_id, sfid, values)
    VALUES (txid_current(), clock_timestamp(), 'NEW', 'UPDATE', hc_capture_update_from_row.table_name,
        (source_row OPERATOR({hstore}.->) 'id')::integer, source_row OPERATOR({hstore}.->) 'sfid',
        captured::text)
    RETURNING id INTO entry_id;
    RETURN entry_id;
END $function$;

-- One column's value in a captured row; serves the indexes by which a row's key is found while the row leaves.
CREATE OR REPLACE FUNCTION {schema}.hc_key_of(captured text, column_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT captured::{hstore}.hstore OPERATOR({hstore}.->) column_name
$function$;

-- A key as Salesforce compares it: without the control characters and blanks around it, in lower case; NULL when nothing is
-- left. Serves the indexes by which rows with one key are found.
CREATE OR REPLACE FUNCTION {schema}.hc_trim_key(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT nullif(btrim(key, E'\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20'), '')
$function$;
CREATE OR REPLACE FUNCTION {schema}.hc_fold_key(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT nullif(lower(btrim(key, E'\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20') COLLATE {key_collation}), '')
$function$;

-- A truncated table would leave its records in Salesforce with nothing to say why.
CREATE OR REPLACE FUNCTION {schema}.hc_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF current_setting('syncdeck.writer', true) = 'engine' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'TRUNCATE of %.% is refused: it cannot be captured, so its records would stay in Salesforce',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING HINT = 'Use DELETE, which is captured row by row.';
END $function$;
