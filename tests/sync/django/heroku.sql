-- What Heroku Connect keeps for the application's models, written anew: its tables, types and names, its triggers on read-write
-- and read-only tables, and its functions by which a row is captured again.
CREATE EXTENSION hstore SCHEMA public;
CREATE FUNCTION public.get_xmlbinary() RETURNS varchar LANGUAGE sql STABLE AS
    $$ SELECT setting::varchar FROM pg_settings WHERE name = 'xmlbinary' $$;
CREATE SCHEMA salesforce;
CREATE TABLE salesforce._hcmeta (id serial PRIMARY KEY, hcver integer, org_id varchar(50), details text);
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
CREATE INDEX _trigger_log_archive_idx_created_at ON salesforce._trigger_log_archive (created_at);
CREATE INDEX _trigger_log_archive_idx_record_id ON salesforce._trigger_log_archive (record_id);
CREATE INDEX _trigger_log_archive_idx_state_table_name ON salesforce._trigger_log_archive (state, table_name) WHERE state = 'FAILED';
CREATE FUNCTION salesforce.tlog_notify_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('salesforce.hc_trigger_log', 'ping'); RETURN new; END $$;
CREATE TRIGGER log_notify_trigger AFTER INSERT ON salesforce._trigger_log FOR EACH ROW
    EXECUTE FUNCTION salesforce.tlog_notify_trigger();

CREATE TABLE salesforce.account (numberofemployees integer, name varchar(255), website varchar(255));
CREATE TABLE salesforce."user" (username varchar(80), isactive boolean);
CREATE TABLE salesforce.contact (lastname varchar(80), firstname varchar(40), email varchar(80), phone varchar(40), title varchar(128),
    birthdate date, level__c varchar(255), score__c double precision, legacy_code__c varchar(20), description text,
    accountid varchar(18), external_id__c varchar(255), createddate timestamp);
CREATE TABLE salesforce.invoice__c (name varchar(80), amount__c double precision, due_date__c date, billing_email__c varchar(80),
    external_id__c varchar(255));
CREATE TABLE salesforce.invoice_line__c (name varchar(80), quantity__c double precision, taxed__c boolean,
    invoice__r__external_id__c varchar(255), external_id__c varchar(255));
CREATE TABLE salesforce.product2 (name varchar(255), weight__c double precision, released_on__c timestamp, isactive boolean,
    external_id__c varchar(255));
DO $make$
DECLARE
    t text;
    keep text;
BEGIN
    FOREACH t IN ARRAY ARRAY['account', 'user', 'contact', 'invoice__c', 'invoice_line__c', 'product2'] LOOP
        keep := CASE WHEN t IN ('account', 'user') THEN 'READONLY' ELSE 'NEW' END;
        EXECUTE format('ALTER TABLE salesforce.%I ADD systemmodstamp timestamp, ADD sfid varchar(18) COLLATE ucs_basic,
            ADD id serial PRIMARY KEY, ADD _hc_lastop varchar(32), ADD _hc_err text', t);
        IF t <> 'user' THEN
            EXECUTE format('ALTER TABLE salesforce.%I ADD isdeleted boolean', t);
        END IF;
        EXECUTE format('CREATE UNIQUE INDEX %I ON salesforce.%I (sfid)', 'hcu_idx_' || t || '_sfid', t);
        EXECUTE format('CREATE INDEX %I ON salesforce.%I (systemmodstamp)', 'hc_idx_' || t || '_systemmodstamp', t);
        IF keep = 'NEW' THEN
            EXECUTE format('CREATE UNIQUE INDEX %I ON salesforce.%I (external_id__c)', 'hcu_idx_' || t || '_external_id__c', t);
        END IF;
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
        EXECUTE format($f$
            CREATE FUNCTION salesforce.%I() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                IF get_xmlbinary() = 'base64' THEN
                    NEW._hc_lastop := 'PENDING'; NEW._hc_err := NULL; RETURN NEW;
                END IF;
                IF TG_OP = 'UPDATE' AND NEW._hc_lastop IS NOT NULL AND NEW._hc_lastop != OLD._hc_lastop THEN RETURN NEW; END IF;
                NEW._hc_lastop := 'SYNCED'; NEW._hc_err := NULL;
                RETURN NEW;
            END $body$ $f$, 'hc_' || t || '_status');
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR DELETE OR UPDATE ON salesforce.%I FOR EACH ROW
            WHEN (public.get_xmlbinary()::text = ''base64'') EXECUTE FUNCTION salesforce.%I()',
            'hc_' || t || '_logtrigger', t, 'hc_' || t || '_logger');
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE ON salesforce.%I FOR EACH ROW
            EXECUTE FUNCTION salesforce.%I()', 'hc_' || t || '_status_trigger', t, 'hc_' || t || '_status');
    END LOOP;
END $make$;

CREATE FUNCTION salesforce.hc_capture_insert_from_row(source_row hstore, table_name text, excluded_cols text[] DEFAULT '{}')
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    e salesforce._trigger_log;
BEGIN
    IF source_row -> 'id' IS NULL THEN RETURN NULL; END IF;
    e.id := nextval('salesforce._trigger_log_id_seq'); e.action := 'INSERT'; e.table_name := table_name; e.state := 'NEW';
    e.txid := txid_current(); e.created_at := clock_timestamp(); e.record_id := (source_row -> 'id')::integer;
    e.values := (source_row - (excluded_cols || '{_hc_lastop,_hc_err}'))::text;
    INSERT INTO salesforce._trigger_log VALUES (e.*);
    RETURN e.id;
END $$;
CREATE FUNCTION salesforce.hc_capture_update_from_row(source_row hstore, table_name text, columns_to_include text[] DEFAULT '{}')
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    e salesforce._trigger_log;
BEGIN
    IF source_row -> 'id' IS NULL THEN RETURN NULL; END IF;
    e.id := nextval('salesforce._trigger_log_id_seq'); e.action := 'UPDATE'; e.table_name := table_name; e.state := 'NEW';
    e.txid := txid_current(); e.created_at := clock_timestamp(); e.record_id := (source_row -> 'id')::integer;
    e.sfid := source_row -> 'sfid';
    e.values := (CASE WHEN columns_to_include = '{}' THEN source_row - '{_hc_lastop,_hc_err}'::text[]
        ELSE slice(source_row, columns_to_include) END)::text;
    INSERT INTO salesforce._trigger_log VALUES (e.*);
    RETURN e.id;
END $$;
