-- Capture for one mapped table. {schema}, {table}, {logger} and {status} are quoted identifiers, {table_literal} is a
-- quoted literal, {hstore} the schema of the extension, {first_state} NEW, or READONLY for a read-only mapping,
-- {nothing_state} IGNORE or READONLY, {is_read_only} true or false.
--
-- A write is the engine's own when both settings say so: `syncdeck.writer` is ours, `xmlbinary` is what applications
-- written against Heroku Connect look at (and set back to base64 inside a trigger in order to be captured).
-- current_setting costs next to nothing; a look into pg_settings, as Heroku's get_xmlbinary() does, costs 0.3 ms.
--
-- The functions name the schema of everything they use, operators and types included, instead of a SET search_path,
-- which would cost each row a tenth of the whole.

CREATE OR REPLACE FUNCTION {schema}.{logger}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $function$
DECLARE
    changed pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO {schema}._trigger_log (txid, created_at, updated_at, state, action, table_name, record_id, values)
        VALUES (pg_catalog.txid_current(), pg_catalog.clock_timestamp(), NULL, {first_state}, 'INSERT', {table_literal},
            NEW.id, {hstore}.delete({hstore}.hstore(NEW), '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text);
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        changed := {hstore}.delete({hstore}.hstore(NEW) OPERATOR({hstore}.-) {hstore}.hstore(OLD),
            '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text;
        INSERT INTO {schema}._trigger_log
            (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old, values)
        VALUES (pg_catalog.txid_current(), pg_catalog.clock_timestamp(), NULL,
            CASE WHEN changed OPERATOR(pg_catalog.=) '' THEN {nothing_state} ELSE {first_state} END,
            'UPDATE', {table_literal}, NEW.id, OLD.sfid,
            {hstore}.delete({hstore}.hstore(OLD), '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text, changed);
    ELSE
        -- A delete is always logged as NEW: when the insert was never sent, folding both comes to nothing, while
        -- Heroku's IGNORE here left the insert to be sent (its "re-inserted records").
        INSERT INTO {schema}._trigger_log (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old)
        VALUES (pg_catalog.txid_current(), pg_catalog.clock_timestamp(), NULL, {first_state}, 'DELETE', {table_literal},
            OLD.id, OLD.sfid,
            {hstore}.delete({hstore}.hstore(OLD), '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text);
    END IF;
    RETURN NULL;
END $function$;

-- _hc_lastop tells the truth: PENDING exactly when something was captured that will be sent. The engine's own
-- values are kept as they are, a second FAILED included; an update that changes nothing leaves them alone.
CREATE OR REPLACE FUNCTION {schema}.{status}() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF {is_read_only} OR TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND NEW OPERATOR(pg_catalog.*=) OLD THEN
        RETURN NEW;
    END IF;
    NEW._hc_lastop := 'PENDING';
    NEW._hc_err := NULL;
    RETURN NEW;
END $function$;

-- Row-level AFTER, and its name sorts before any application's trigger: a capture that fires after a trigger which
-- updates the same row logs the nested change first, and Salesforce ends up with the old value.
DROP TRIGGER IF EXISTS "00_hc_logger" ON {schema}.{table};
CREATE TRIGGER "00_hc_logger" AFTER INSERT OR UPDATE OR DELETE ON {schema}.{table} FOR EACH ROW
    WHEN (current_setting('syncdeck.writer', true) IS DISTINCT FROM 'engine' OR current_setting('xmlbinary') = 'base64')
    EXECUTE FUNCTION {schema}.{logger}();
DROP TRIGGER IF EXISTS "zz_hc_status" ON {schema}.{table};
CREATE TRIGGER "zz_hc_status" BEFORE INSERT OR UPDATE ON {schema}.{table} FOR EACH ROW
    WHEN (current_setting('syncdeck.writer', true) IS DISTINCT FROM 'engine' OR current_setting('xmlbinary') = 'base64')
    EXECUTE FUNCTION {schema}.{status}();
DROP TRIGGER IF EXISTS "00_hc_truncate" ON {schema}.{table};
CREATE TRIGGER "00_hc_truncate" BEFORE TRUNCATE ON {schema}.{table} FOR EACH STATEMENT
    EXECUTE FUNCTION {schema}.hc_refuse_truncate();
