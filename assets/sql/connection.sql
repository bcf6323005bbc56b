-- The part of a connection's schema that does not depend on its mappings: the change log, its archive, the metadata tables
-- and the two functions that capture a row again by hand, all with Heroku Connect's columns and names. Of its indexes two
-- are missing, for users pay for each with every write.
-- {schema} and {hstore} (the schema that holds the extension hstore) are quoted identifiers, {schema_literal} and
-- {hstore_literal} the same within literals; the others are about the session's settings (src/postgres/schema/capture.rs).

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
CREATE INDEX IF NOT EXISTS _trigger_log_idx_state_id ON {schema}._trigger_log (state, id);
-- Heroku Connect has two more, (created_at) and (state, table_name). Nothing here asks for the time of a change, and what is
-- asked of states is found by the index above; the two cost a captured update a tenth of its time, and an intake as much
-- again. A log that has them keeps them: somebody may ask by them.
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

-- What a predecessor's tables may lack.
DO $block$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT log, name, type FROM unnest(ARRAY['_trigger_log', '_trigger_log_archive']) log,
            (VALUES ('txid', 'bigint'), ('created_at', 'timestamptz'), ('updated_at', 'timestamptz'),
                ('processed_at', 'timestamptz'), ('processed_tx', 'bigint'), ('sfid', 'varchar(18)'), ('old', 'text'),
                ('values', 'text'), ('sf_result', 'integer'), ('sf_message', 'text')) columns (name, type)
        WHERE NOT EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = ('{schema_literal}.' || log)::regclass AND attname = name AND NOT attisdropped)
    LOOP
        EXECUTE format('ALTER TABLE {schema_literal}.%I ADD COLUMN %I %s', missing.log, missing.name, missing.type);
    END LOOP;
END $block$;

-- A row as an hstore, and a row with the values of one. An operator remembers its function; by name, whoever may make
-- functions in the extension's schema could make one that fits a table's own row type better, and the capture, which has its
-- owner's rights, would call it.
DO $block$
BEGIN
    IF to_regoperator('syncdeck.@>#(NONE,record)') IS NULL THEN
        CREATE OPERATOR syncdeck.@># (RIGHTARG = record, FUNCTION = {hstore}.hstore);
    END IF;
    IF to_regoperator('syncdeck.#=(anyelement,{hstore_literal}.hstore)') IS NULL THEN
        CREATE OPERATOR syncdeck.#= (LEFTARG = anyelement, RIGHTARG = {hstore}.hstore, FUNCTION = {hstore}.populate_record);
    END IF;
END $block$;

-- A predecessor's forms of the two functions, with other names or types, would be called instead of ours.
DO $block$
DECLARE
    other regprocedure;
BEGIN
    FOR other IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = '{schema_literal}'::regnamespace
            AND proname IN ('hc_capture_insert_from_row', 'hc_capture_update_from_row')
            AND NOT (proargtypes::text = concat_ws(' ', '{hstore_literal}.hstore'::regtype::oid, 'varchar'::regtype::oid,
                    'text[]'::regtype::oid) AND proargnames[1:2] = '{source_row,table_name}' AND prorettype = 'integer'::regtype
                AND proargnames[3] = CASE proname WHEN 'hc_capture_insert_from_row' THEN 'excluded_cols' ELSE 'columns_to_include' END)
    LOOP
        EXECUTE format('DROP FUNCTION %s', other);
    END LOOP;
END $block$;

-- A row that the caller's session printed, under whatever it has set, printed one way. The values are read as they were
-- printed into the row as it stands: what is still the same there loses no digit. What the table does not understand stays
-- as it was given.
CREATE OR REPLACE FUNCTION {schema}.hc_printed_one_way(given {hstore}.hstore, table_name text) RETURNS {hstore}.hstore
LANGUAGE plpgsql AS $function$
DECLARE
    settings text[];
    printed {hstore}.hstore;
    meant record;
BEGIN
    IF NOT ({is_odd}) THEN
        RETURN given;
    END IF;
    BEGIN
        EXECUTE pg_catalog.format('SELECT OPERATOR(syncdeck.@>#) t FROM {schema_literal}.%I t WHERE id = $1', table_name)
            INTO printed USING (given OPERATOR({hstore}.->) 'id')::pg_catalog.int4;
        EXECUTE pg_catalog.format('SELECT (meant.whole).* FROM (VALUES (1)) one LEFT JOIN {schema_literal}.%I t ON t.id = $2,
                LATERAL (SELECT t OPERATOR(syncdeck.#=) $1 AS whole OFFSET 0) meant', table_name)
            INTO meant USING given OPERATOR({hstore}.-) coalesce(printed, ''), (given OPERATOR({hstore}.->) 'id')::pg_catalog.int4;
        settings := ARRAY[{settings}];
        PERFORM {set};
        printed := {hstore}.slice(OPERATOR(syncdeck.@>#) meant, {hstore}.akeys(given));
        PERFORM {set_back};
        RETURN given OPERATOR({hstore}.||) printed;
    EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation OR integrity_constraint_violation THEN
        RETURN given;
    END;
END $function$;

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
    IF excluded_cols OPERATOR(pg_catalog.&&) ARRAY['id', 'sfid'] THEN
        RAISE EXCEPTION 'id and sfid cannot be left out of a captured insert';
    END IF;
    INSERT INTO {schema}._trigger_log (txid, created_at, state, action, table_name, record_id, values)
    VALUES (txid_current(), clock_timestamp(), 'NEW', 'INSERT', hc_capture_insert_from_row.table_name,
        (source_row OPERATOR({hstore}.->) 'id')::integer,
        {hstore}.delete({schema}.hc_printed_one_way(source_row, hc_capture_insert_from_row.table_name),
            excluded_cols OPERATOR(pg_catalog.||) ARRAY['_hc_lastop', '_hc_err'])::text)
    RETURNING id INTO entry_id;
    RETURN entry_id;
END $function$;

-- Captures a row again as an update of the given columns (of all when none are given).
CREATE OR REPLACE FUNCTION {schema}.hc_capture_update_from_row(
    source_row {hstore}.hstore, table_name varchar, columns_to_include text[] DEFAULT ARRAY[]::text[]
) RETURNS integer LANGUAGE plpgsql AS $function$
DECLARE
    entry_id integer;
    captured {hstore}.hstore;
BEGIN
    IF (source_row OPERATOR({hstore}.->) 'id') IS NULL THEN
        RETURN NULL;
    END IF;
    captured := {hstore}.delete({schema}.hc_printed_one_way(source_row, hc_capture_update_from_row.table_name),
        ARRAY['_hc_lastop', '_hc_err']);
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

-- One column's value in a captured row; serves the indexes by which a row's key is found while the row leaves. Text that
-- is no hstore has none: somebody may have written it into the log.
CREATE OR REPLACE FUNCTION {schema}.hc_key_of(captured text, column_name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $function$
BEGIN
    RETURN captured::{hstore}.hstore OPERATOR({hstore}.->) column_name;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $function$;

-- Whether text is an hstore.
CREATE OR REPLACE FUNCTION {schema}.hc_is_hstore(captured text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $function$
BEGIN
    RETURN captured::{hstore}.hstore IS NOT NULL OR captured IS NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $function$;

-- A truncated table would leave its records in Salesforce with nothing to say why.
CREATE OR REPLACE FUNCTION {schema}.hc_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF pg_catalog.current_setting('syncdeck.writer', true) OPERATOR(pg_catalog.=) 'engine' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'TRUNCATE of %.% is refused: it cannot be captured, so its records would stay in Salesforce',
        TG_TABLE_SCHEMA, TG_TABLE_NAME USING HINT = 'Use DELETE, which is captured row by row.';
END $function$;
