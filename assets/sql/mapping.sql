-- Capture for one mapped table. {schema}, {table}, {logger} and {status} are quoted identifiers, {table_literal} is a
-- quoted literal, {hstore} the schema of the extension, {first_state} NEW, or READONLY for a read-only mapping.
--
-- A write is the engine's own when both settings say so: `syncdeck.writer` is ours, `xmlbinary` is what applications
-- written against Heroku Connect look at (and set back to base64 inside a trigger in order to be captured).
-- current_setting costs next to nothing; a look into pg_settings, as Heroku's get_xmlbinary() does, costs 0.3 ms.

CREATE OR REPLACE FUNCTION {schema}.{logger}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    changed text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {schema}._trigger_log (txid, created_at, updated_at, state, action, table_name, record_id, values)
        VALUES (txid_current(), clock_timestamp(), NULL, {first_state}, 'INSERT', {table_literal}, NEW.id,
            {hstore}.delete({hstore}.hstore(NEW), ARRAY['_hc_lastop', '_hc_err'])::text);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := {hstore}.delete({hstore}.hstore(NEW) OPERATOR({hstore}.-) {hstore}.hstore(OLD),
            ARRAY['_hc_lastop', '_hc_err'])::text;
        INSERT INTO {schema}._trigger_log
            (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old, values)
        VALUES (txid_current(), clock_timestamp(), NULL,
            CASE WHEN changed = '' AND {first_state} = 'NEW' THEN 'IGNORE' ELSE {first_state} END,
            'UPDATE', {table_literal}, NEW.id, OLD.sfid,
            {hstore}.delete({hstore}.hstore(OLD), ARRAY['_hc_lastop', '_hc_err'])::text, changed);
    ELSE
        -- A delete is always logged as NEW: when the insert was never sent, folding both comes to nothing, while
        -- Heroku's IGNORE here left the insert to be sent (its "re-inserted records").
        INSERT INTO {schema}._trigger_log (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old)
        VALUES (txid_current(), clock_timestamp(), NULL, {first_state}, 'DELETE', {table_literal}, OLD.id, OLD.sfid,
            {hstore}.delete({hstore}.hstore(OLD), ARRAY['_hc_lastop', '_hc_err'])::text);
    END IF;
    RETURN NULL;
END $function$;

-- _hc_lastop tells the truth: PENDING exactly when something was captured that will be sent. The engine's own
-- values are kept as they are, a second FAILED included; an update that changes nothing leaves them alone.
CREATE OR REPLACE FUNCTION {schema}.{status}() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF {first_state} = 'READONLY' OR (TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD) THEN
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
