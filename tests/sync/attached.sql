-- A schema as Heroku Connect keeps it while it works, written anew from what is known of it: tables, log and archive, the
-- triggers of read-write and read-only mappings, and the functions by which a row is captured again.
CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public;
CREATE FUNCTION public.get_xmlbinary() RETURNS varchar LANGUAGE sql STABLE AS
    $$ SELECT setting::varchar FROM pg_settings WHERE name = 'xmlbinary' $$;
CREATE SCHEMA salesforce;
CREATE TABLE salesforce._hcmeta (id serial PRIMARY KEY, hcver integer, org_id varchar(50), details text);
INSERT INTO salesforce._hcmeta (hcver, org_id) VALUES (4, '00DHC0000000001');
CREATE TABLE salesforce._sf_event_log (id serial PRIMARY KEY, table_name varchar(128), action varchar(7),
    synced_at timestamptz DEFAULT now(), sf_timestamp timestamptz, sfid varchar(20), record text, processed boolean);
CREATE TABLE salesforce._trigger_log (id serial PRIMARY KEY, txid bigint, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), processed_at timestamptz, processed_tx bigint, state varchar(8), action varchar(7),
    table_name varchar(128), record_id integer, sfid varchar(18), old text, values text, sf_result integer, sf_message text);
CREATE INDEX _trigger_log_idx_created_at ON salesforce._trigger_log (created_at);
CREATE INDEX _trigger_log_idx_state_id ON salesforce._trigger_log (state, id);
CREATE INDEX _trigger_log_idx_state_table_name ON salesforce._trigger_log (state, table_name) WHERE state IN ('NEW', 'PENDING');
CREATE TABLE salesforce._trigger_log_archive (id integer PRIMARY KEY, txid bigint, created_at timestamptz,
    updated_at timestamptz, processed_at timestamptz, processed_tx bigint, state varchar(8), action varchar(7),
    table_name varchar(128), record_id integer, sfid varchar(18), old text, values text, sf_result integer, sf_message text);
CREATE INDEX _trigger_log_archive_idx_record_id ON salesforce._trigger_log_archive (record_id);
CREATE INDEX _trigger_log_archive_idx_state_table_name ON salesforce._trigger_log_archive (state, table_name) WHERE state = 'FAILED';

CREATE FUNCTION salesforce.tlog_notify_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('salesforce.hc_trigger_log', 'ping'); RETURN new; END $$;
CREATE TRIGGER log_notify_trigger AFTER INSERT ON salesforce._trigger_log FOR EACH ROW
    EXECUTE FUNCTION salesforce.tlog_notify_trigger();

CREATE TABLE salesforce.contact (lastname varchar(80), firstname varchar(40), email varchar(80), phone varchar(40),
    createddate timestamp, isdeleted boolean, systemmodstamp timestamp, sfid varchar(18) COLLATE ucs_basic, id serial PRIMARY KEY,
    _hc_lastop varchar(32), _hc_err text, level__c varchar(255), score__c double precision,
    -- What somebody added, of types that no field has.
    tags text[], extra jsonb, span int4range, initials text GENERATED ALWAYS AS (left(lastname, 1)) STORED);
CREATE UNIQUE INDEX hcu_idx_contact_sfid ON salesforce.contact (sfid);
CREATE TABLE salesforce."user" (username varchar(80), isactive boolean, systemmodstamp timestamp, sfid varchar(18),
    id serial PRIMARY KEY, _hc_lastop varchar(32), _hc_err text);
CREATE TABLE salesforce.recordtype (name varchar(80), systemmodstamp timestamp, sfid varchar(18), id serial PRIMARY KEY,
    _hc_lastop varchar(32), _hc_err text);
-- Its mapping was deleted: the table stays, the triggers went.
CREATE TABLE salesforce.legacy__c (name varchar(80), isdeleted boolean, systemmodstamp timestamp, sfid varchar(18),
    id serial PRIMARY KEY, _hc_lastop varchar(32), _hc_err text);
-- Somebody's own table beside them.
CREATE TABLE salesforce.note (id serial PRIMARY KEY, text text);

CREATE FUNCTION salesforce.hc_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF get_xmlbinary() = 'base64' THEN
        NEW._hc_lastop := 'PENDING'; NEW._hc_err := NULL; RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW._hc_lastop IS NOT NULL AND NEW._hc_lastop != OLD._hc_lastop THEN RETURN NEW; END IF;
    NEW._hc_lastop := 'SYNCED'; NEW._hc_err := NULL;
    RETURN NEW;
END $$;
DO $make$
DECLARE
    t text;
    keep text;
BEGIN
    FOREACH t IN ARRAY ARRAY['contact', 'user', 'recordtype'] LOOP
        keep := CASE WHEN t = 'recordtype' THEN 'READONLY' ELSE 'NEW' END;
        EXECUTE format($f$
            CREATE FUNCTION salesforce.%I() RETURNS trigger LANGUAGE plpgsql AS $body$
            DECLARE
                e salesforce._trigger_log;
                x text[] := ARRAY['_hc_lastop', '_hc_err'];
            BEGIN
                e.id := nextval('salesforce._trigger_log_id_seq'); e.action := TG_OP; e.table_name := TG_TABLE_NAME;
                e.txid := txid_current(); e.created_at := clock_timestamp(); e.state := %L;
                IF TG_OP = 'DELETE' THEN
                    e.record_id := OLD.id; e.old := (hstore(OLD) - x)::text; e.sfid := OLD.sfid;
                    IF e.state <> 'READONLY' AND OLD.sfid IS NULL THEN e.state := 'IGNORE'; END IF;
                ELSIF TG_OP = 'INSERT' THEN
                    e.record_id := NEW.id; e.values := (hstore(NEW) - x)::text;
                ELSE
                    e.record_id := NEW.id; e.old := (hstore(OLD) - x)::text; e.sfid := OLD.sfid;
                    e.values := ((hstore(NEW) - hstore(OLD)) - x)::text;
                    IF e.state <> 'READONLY' AND e.values = '' THEN e.state := 'IGNORE'; END IF;
                END IF;
                INSERT INTO salesforce._trigger_log VALUES (e.*);
                RETURN NULL;
            END $body$ $f$, 'hc_' || t || '_logger', keep);
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR DELETE OR UPDATE ON salesforce.%I FOR EACH ROW
            WHEN (public.get_xmlbinary()::text = ''base64'') EXECUTE FUNCTION salesforce.%I()',
            'hc_' || t || '_logtrigger', t, 'hc_' || t || '_logger');
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE ON salesforce.%I FOR EACH ROW
            EXECUTE FUNCTION salesforce.hc_status()', 'hc_' || t || '_status_trigger', t);
    END LOOP;
END $make$;

CREATE FUNCTION salesforce.hc_capture_insert_from_row(source_row hstore, table_name varchar, excluded_cols text[] DEFAULT '{}')
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    e salesforce._trigger_log;
BEGIN
    IF NOT source_row ? 'id' THEN RETURN NULL; END IF;
    IF excluded_cols && ARRAY['id', 'sfid'] THEN RAISE EXCEPTION 'id and sfid cannot be excluded'; END IF;
    e.id := nextval('salesforce._trigger_log_id_seq'); e.action := 'INSERT'; e.table_name := table_name;
    e.txid := txid_current(); e.created_at := clock_timestamp(); e.state := 'NEW';
    e.record_id := (source_row -> 'id')::integer;
    e.values := (source_row - (excluded_cols || ARRAY['_hc_lastop', '_hc_err']))::text;
    INSERT INTO salesforce._trigger_log VALUES (e.*);
    RETURN e.id;
END $$;
CREATE FUNCTION salesforce.hc_capture_update_from_row(source_row hstore, table_name varchar, columns_to_include text[] DEFAULT '{}')
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    e salesforce._trigger_log;
BEGIN
    IF NOT source_row ? 'id' THEN RETURN NULL; END IF;
    e.id := nextval('salesforce._trigger_log_id_seq'); e.action := 'UPDATE'; e.table_name := table_name;
    e.txid := txid_current(); e.created_at := clock_timestamp(); e.state := 'NEW';
    e.record_id := (source_row -> 'id')::integer; e.sfid := source_row -> 'sfid';
    IF columns_to_include = '{}' THEN
        e.values := (source_row - ARRAY['_hc_lastop', '_hc_err'])::text;
    ELSE
        e.values := slice(source_row, columns_to_include)::text;
    END IF;
    INSERT INTO salesforce._trigger_log VALUES (e.*);
    RETURN e.id;
END $$;

-- What the stand-in for Salesforce was sent, by row. It takes a second insert of a row as Salesforce does: as another record.
CREATE SCHEMA org;
CREATE TABLE org.contact (record_id integer, sfid varchar(18), lastname text, email text, phone text);
CREATE SEQUENCE org.number START 1000;
