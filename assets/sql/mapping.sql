-- Capture for one mapped table. {schema}, {table}, {logger} and {status} are quoted identifiers, {table_literal} is a
-- quoted literal, {hstore} the schema of the extension, {first_state} NEW, or READONLY for a read-only mapping,
-- {nothing_state} IGNORE or READONLY, {is_read_only} true or false; the others are about the session's settings, by which
-- some types are printed (src/postgres/schema/capture.rs).
--
-- A change is captured while `xmlbinary` is base64, as Heroku Connect does it: an application switches capture off with
-- SET LOCAL xmlbinary TO 'hex'. The engine's own writes say more, by `syncdeck.writer`: of them nothing is captured
-- whatever the other setting says; but what a trigger writes in their course (from depth 2 on, as a trigger counts) is, as
-- soon as it sets xmlbinary to base64. current_setting costs next to nothing; a look into pg_settings, as Heroku's
-- get_xmlbinary() does, costs 0.3 ms.
--
-- Most statements write one row, so what a statement pays once counts most. A WHEN clause is parsed and planned anew by
-- each (10 to 15 us, with what an update costs being 60); the same question within a function costs 3. Of the functions'
-- expressions each is made ready once in a transaction, so there are few, and a row becomes an hstore once.
--
-- The functions name the schema of everything they use, operators and types included, instead of a SET search_path,
-- which would cost each row a tenth of the whole. Whatever is looked up in {hstore}, where others may make functions,
-- has exactly the types of what is looked for: an overload of somebody else's never fits better.

CREATE OR REPLACE FUNCTION {schema}.{logger}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $function$
DECLARE
    -- of syncdeck
    settings pg_catalog.text[];
    was {hstore}.hstore;
    changed pg_catalog.text;
BEGIN
    IF pg_catalog.current_setting('xmlbinary') OPERATOR(pg_catalog.<>) 'base64'
        OR pg_catalog.current_setting('syncdeck.writer', true) OPERATOR(pg_catalog.=) 'engine'
            AND pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.=) 1 THEN
        RETURN NULL;
    END IF;
    -- Values are printed one way, whatever the session has set. Looking costs 2 us; setting each time would cost 11.
    IF {is_odd} THEN
        settings := ARRAY[{settings}];
        PERFORM {set};
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        was := {hstore}.delete(OPERATOR(syncdeck.@>#) OLD, '{_hc_lastop,_hc_err}'::pg_catalog.text[]);
        changed := {hstore}.delete((OPERATOR(syncdeck.@>#) NEW) OPERATOR({hstore}.-) was,
            '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text;
        INSERT INTO {schema}._trigger_log
            (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old, values)
        VALUES (pg_catalog.txid_current(), pg_catalog.clock_timestamp(), NULL,
            CASE WHEN changed OPERATOR(pg_catalog.=) '' THEN {nothing_state} ELSE {first_state} END,
            'UPDATE', {table_literal}, NEW.id, OLD.sfid, was::pg_catalog.text, changed);
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO {schema}._trigger_log (txid, created_at, updated_at, state, action, table_name, record_id, values)
        VALUES (pg_catalog.txid_current(), pg_catalog.clock_timestamp(), NULL, {first_state}, 'INSERT', {table_literal},
            NEW.id, {hstore}.delete(OPERATOR(syncdeck.@>#) NEW, '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text);
    ELSE
        -- A delete is always logged as NEW: when the insert was never sent, folding both comes to nothing, while
        -- Heroku's IGNORE here left the insert to be sent (its "re-inserted records").
        INSERT INTO {schema}._trigger_log (txid, created_at, updated_at, state, action, table_name, record_id, sfid, old)
        VALUES (pg_catalog.txid_current(), pg_catalog.clock_timestamp(), NULL, {first_state}, 'DELETE', {table_literal},
            OLD.id, OLD.sfid,
            {hstore}.delete(OPERATOR(syncdeck.@>#) OLD, '{_hc_lastop,_hc_err}'::pg_catalog.text[])::pg_catalog.text);
    END IF;
    IF settings IS NOT NULL THEN
        PERFORM {set_back};
    END IF;
    RETURN NULL;
END $function$;

-- _hc_lastop tells the truth: PENDING exactly when something was captured that will be sent. The engine's own
-- values are kept as they are, a second FAILED included; an update that changes nothing leaves them alone. Of a write
-- that is not captured it says SYNCED, as Heroku Connect's does, but never over a change that Salesforce does not have.
CREATE OR REPLACE FUNCTION {schema}.{status}() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    -- of syncdeck
    IF pg_catalog.current_setting('syncdeck.writer', true) OPERATOR(pg_catalog.=) 'engine'
        AND (pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.=) 1
            OR pg_catalog.current_setting('xmlbinary') OPERATOR(pg_catalog.<>) 'base64') THEN
        RETURN NEW;
    END IF;
    -- Who writes a whole row back as it once read it (an object mapper does) knows neither the record that it has since, nor
    -- where it stands since: it takes away neither, and of that alone nothing would be sent. IS DISTINCT FROM would take
    -- whatever = the session's search path finds.
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (coalesce(NEW.sfid, '') OPERATOR(pg_catalog.=) ''
            AND ((NEW.sfid IS NULL) OPERATOR(pg_catalog.<>) (OLD.sfid IS NULL) OR NEW.sfid OPERATOR(pg_catalog.<>) OLD.sfid)
        OR (NEW._hc_lastop IS NULL) OPERATOR(pg_catalog.<>) (OLD._hc_lastop IS NULL)
        OR NEW._hc_lastop OPERATOR(pg_catalog.<>) OLD._hc_lastop
        OR (NEW._hc_err IS NULL) OPERATOR(pg_catalog.<>) (OLD._hc_err IS NULL) OR NEW._hc_err OPERATOR(pg_catalog.<>) OLD._hc_err)
        AND pg_catalog.current_setting('xmlbinary') OPERATOR(pg_catalog.=) 'base64' THEN
        IF coalesce(NEW.sfid, '') OPERATOR(pg_catalog.=) '' THEN
            NEW.sfid := OLD.sfid;
        END IF;
        NEW._hc_lastop := OLD._hc_lastop;
        NEW._hc_err := OLD._hc_err;
    END IF;
    IF {is_read_only} OR TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND NEW OPERATOR(pg_catalog.*=) OLD THEN
        RETURN NEW;
    END IF;
    IF pg_catalog.current_setting('xmlbinary') OPERATOR(pg_catalog.=) 'base64' THEN
        NEW._hc_lastop := 'PENDING';
        NEW._hc_err := NULL;
        RETURN NEW;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        IF (NEW._hc_lastop IS NULL) OPERATOR(pg_catalog.<>) (OLD._hc_lastop IS NULL)
            OR NEW._hc_lastop OPERATOR(pg_catalog.<>) OLD._hc_lastop
            OR OLD._hc_lastop OPERATOR(pg_catalog.=) ANY ('{PENDING,FAILED}'::pg_catalog.text[]) THEN
            RETURN NEW;
        END IF;
    END IF;
    NEW._hc_lastop := 'SYNCED';
    NEW._hc_err := NULL;
    RETURN NEW;
END $function$;

-- Row-level AFTER, and its name sorts before any application's trigger: a capture that fires after a trigger which
-- updates the same row logs the nested change first, and Salesforce ends up with the old value.
DROP TRIGGER IF EXISTS "00_hc_logger" ON {schema}.{table};
CREATE TRIGGER "00_hc_logger" AFTER INSERT OR UPDATE OR DELETE ON {schema}.{table} FOR EACH ROW
    EXECUTE FUNCTION {schema}.{logger}();
DROP TRIGGER IF EXISTS "zz_hc_status" ON {schema}.{table};
CREATE TRIGGER "zz_hc_status" BEFORE INSERT OR UPDATE ON {schema}.{table} FOR EACH ROW
    EXECUTE FUNCTION {schema}.{status}();
DROP TRIGGER IF EXISTS "00_hc_truncate" ON {schema}.{table};
CREATE TRIGGER "00_hc_truncate" BEFORE TRUNCATE ON {schema}.{table} FOR EACH STATEMENT
    EXECUTE FUNCTION {schema}.hc_refuse_truncate();
