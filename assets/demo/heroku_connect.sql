-- A schema as Heroku Connect makes it: the names are its own, the bodies are written anew, to the same effect.
CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public;
CREATE FUNCTION public.get_xmlbinary() RETURNS varchar LANGUAGE sql STABLE AS
    $$ SELECT setting::varchar FROM pg_settings WHERE name = 'xmlbinary' $$;

CREATE SCHEMA salesforce;
CREATE TABLE salesforce._hcmeta (id serial PRIMARY KEY, hcver integer, org_id varchar(50), details text);
INSERT INTO salesforce._hcmeta (hcver, org_id) VALUES (4, '00Dsd0000000001EAA');
CREATE TABLE salesforce._trigger_log (
    id serial PRIMARY KEY, txid bigint, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    processed_at timestamptz, processed_tx bigint, state varchar(8), action varchar(7), table_name varchar(128),
    record_id integer, sfid varchar(18), old text, values text, sf_result integer, sf_message text);
CREATE INDEX _trigger_log_idx_created_at ON salesforce._trigger_log (created_at);
CREATE INDEX _trigger_log_idx_state_id ON salesforce._trigger_log (state, id);
CREATE INDEX _trigger_log_idx_state_table_name ON salesforce._trigger_log (state, table_name)
    WHERE state IN ('NEW', 'PENDING');
CREATE TABLE salesforce._trigger_log_archive (
    id integer PRIMARY KEY, txid bigint, created_at timestamptz, updated_at timestamptz, processed_at timestamptz,
    processed_tx bigint, state varchar(8), action varchar(7), table_name varchar(128), record_id integer, sfid varchar(18),
    old text, values text, sf_result integer, sf_message text);
CREATE INDEX _trigger_log_archive_idx_record_id ON salesforce._trigger_log_archive (record_id);
CREATE INDEX _trigger_log_archive_idx_state_table_name ON salesforce._trigger_log_archive (state, table_name)
    WHERE state = 'FAILED';

CREATE TABLE salesforce.account (
    name varchar(255), phone varchar(40), website varchar(255), industry varchar(255), rating varchar(255),
    numberofemployees integer, billingcity varchar(40), external_id__c varchar(64), createddate timestamp,
    isdeleted boolean, systemmodstamp timestamp, sfid varchar(18) COLLATE ucs_basic, id serial PRIMARY KEY,
    _hc_lastop varchar(32), _hc_err text);
CREATE TABLE salesforce.contact (
    lastname varchar(80), firstname varchar(40), accountid varchar(18), email varchar(80), phone varchar(40),
    level__c varchar(255), external_id__c varchar(64), createddate timestamp, isdeleted boolean, systemmodstamp timestamp,
    sfid varchar(18) COLLATE ucs_basic, id serial PRIMARY KEY, _hc_lastop varchar(32), _hc_err text);
CREATE TABLE salesforce.product2 (
    name varchar(255), productcode varchar(255), family varchar(255), isactive boolean, createddate timestamp,
    isdeleted boolean, systemmodstamp timestamp, sfid varchar(18) COLLATE ucs_basic, id serial PRIMARY KEY,
    _hc_lastop varchar(32), _hc_err text);

CREATE FUNCTION salesforce.tlog_notify_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('salesforce.hc_trigger_log', 'ping');
    RETURN NEW;
END $$;
CREATE TRIGGER log_notify_trigger AFTER INSERT ON salesforce._trigger_log FOR EACH ROW
    EXECUTE FUNCTION salesforce.tlog_notify_trigger();

DO $make$
DECLARE
    t text;
    keep text;
BEGIN
    FOREACH t IN ARRAY ARRAY['account', 'contact', 'product2'] LOOP
        keep := CASE WHEN t = 'product2' THEN 'READONLY' ELSE 'NEW' END;
        EXECUTE format('CREATE UNIQUE INDEX %I ON salesforce.%I (sfid)', 'hcu_idx_' || t || '_sfid', t);
        EXECUTE format('CREATE INDEX %I ON salesforce.%I (systemmodstamp)', 'hc_idx_' || t || '_systemmodstamp', t);
        EXECUTE format($f$
            CREATE FUNCTION salesforce.%I() RETURNS trigger LANGUAGE plpgsql AS $body$
            DECLARE
                entry salesforce._trigger_log;
                own text[] := ARRAY['_hc_lastop', '_hc_err'];
            BEGIN
                entry.id := nextval('salesforce._trigger_log_id_seq');
                entry.action := TG_OP;
                entry.table_name := TG_TABLE_NAME;
                entry.txid := txid_current();
                entry.created_at := clock_timestamp();
                entry.state := %L;
                IF TG_OP = 'DELETE' THEN
                    entry.record_id := OLD.id;
                    entry.sfid := OLD.sfid;
                    entry.old := (hstore(OLD) - own)::text;
                    IF entry.state <> 'READONLY' AND OLD.sfid IS NULL THEN entry.state := 'IGNORE'; END IF;
                ELSIF TG_OP = 'INSERT' THEN
                    entry.record_id := NEW.id;
                    entry.values := (hstore(NEW) - own)::text;
                ELSE
                    entry.record_id := NEW.id;
                    entry.sfid := OLD.sfid;
                    entry.old := (hstore(OLD) - own)::text;
                    entry.values := ((hstore(NEW) - hstore(OLD)) - own)::text;
                    IF entry.state <> 'READONLY' AND entry.values = '' THEN entry.state := 'IGNORE'; END IF;
                END IF;
                INSERT INTO salesforce._trigger_log VALUES (entry.*);
                RETURN NULL;
            END $body$ $f$, 'hc_' || t || '_logger', keep);
        EXECUTE format($f$
            CREATE FUNCTION salesforce.%I() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                IF public.get_xmlbinary() = 'base64' THEN
                    NEW._hc_lastop := 'PENDING';
                    NEW._hc_err := NULL;
                    RETURN NEW;
                END IF;
                IF TG_OP = 'UPDATE' AND NEW._hc_lastop IS NOT NULL AND NEW._hc_lastop <> OLD._hc_lastop THEN
                    RETURN NEW;
                END IF;
                NEW._hc_lastop := 'SYNCED';
                NEW._hc_err := NULL;
                RETURN NEW;
            END $body$ $f$, 'hc_' || t || '_status');
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR DELETE OR UPDATE ON salesforce.%I FOR EACH ROW
            WHEN (public.get_xmlbinary()::text = ''base64'') EXECUTE FUNCTION salesforce.%I()',
            'hc_' || t || '_logtrigger', t, 'hc_' || t || '_logger');
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE ON salesforce.%I FOR EACH ROW
            EXECUTE FUNCTION salesforce.%I()', 'hc_' || t || '_status_trigger', t, 'hc_' || t || '_status');
    END LOOP;
END $make$;

CREATE FUNCTION salesforce.hc_capture_insert_from_row(
    source_row hstore, table_name varchar, excluded_cols text[] DEFAULT '{}') RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    entry salesforce._trigger_log;
BEGIN
    IF NOT source_row ? 'id' THEN RETURN NULL; END IF;
    entry.id := nextval('salesforce._trigger_log_id_seq');
    entry.action := 'INSERT';
    entry.table_name := table_name;
    entry.txid := txid_current();
    entry.created_at := clock_timestamp();
    entry.state := 'NEW';
    entry.record_id := (source_row -> 'id')::integer;
    entry.values := (source_row - (excluded_cols || ARRAY['_hc_lastop', '_hc_err']))::text;
    INSERT INTO salesforce._trigger_log VALUES (entry.*);
    RETURN entry.id;
END $$;
CREATE FUNCTION salesforce.hc_capture_update_from_row(
    source_row hstore, table_name varchar, columns_to_include text[] DEFAULT '{}') RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    entry salesforce._trigger_log;
BEGIN
    IF NOT source_row ? 'id' THEN RETURN NULL; END IF;
    entry.id := nextval('salesforce._trigger_log_id_seq');
    entry.action := 'UPDATE';
    entry.table_name := table_name;
    entry.txid := txid_current();
    entry.created_at := clock_timestamp();
    entry.state := 'NEW';
    entry.record_id := (source_row -> 'id')::integer;
    entry.sfid := source_row -> 'sfid';
    entry.values := (CASE WHEN columns_to_include = '{}' THEN source_row - ARRAY['_hc_lastop', '_hc_err']
                          ELSE slice(source_row, columns_to_include) END)::text;
    INSERT INTO salesforce._trigger_log VALUES (entry.*);
    RETURN entry.id;
END $$;
