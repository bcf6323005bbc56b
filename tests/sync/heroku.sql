-- A schema as Heroku Connect leaves it behind: the names are Heroku's, the bodies are written anew, to the same effect.
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE FUNCTION public.get_xmlbinary() RETURNS varchar LANGUAGE sql STABLE AS
    $$ SELECT setting::varchar FROM pg_settings WHERE name = 'xmlbinary' $$;
CREATE SCHEMA salesforce;
CREATE TABLE salesforce._trigger_log (id serial PRIMARY KEY, txid bigint, created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(), processed_at timestamptz, processed_tx bigint, state varchar(8), action varchar(7),
    table_name varchar(128), record_id integer, sfid varchar(18), old text, values text, sf_result integer, sf_message text);
CREATE TABLE salesforce._trigger_log_archive (id integer PRIMARY KEY, txid bigint, created_at timestamptz,
    updated_at timestamptz, processed_at timestamptz, processed_tx bigint, state varchar(8), action varchar(7),
    table_name varchar(128), record_id integer, sfid varchar(18), old text, values text, sf_result integer, sf_message text);
CREATE TABLE salesforce.contact (lastname varchar(80), firstname varchar(40), email varchar(80), phone varchar(40),
    external_id__c varchar(64), isdeleted boolean, systemmodstamp timestamp, createddate timestamp,
    sfid varchar(18) COLLATE ucs_basic, id serial PRIMARY KEY, _hc_lastop varchar(32), _hc_err text);
CREATE UNIQUE INDEX hcu_idx_contact_sfid ON salesforce.contact (sfid);
CREATE UNIQUE INDEX hcu_idx_contact_external_id__c ON salesforce.contact (external_id__c);
CREATE FUNCTION salesforce.hc_contact_logger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    e salesforce._trigger_log;
    x text[] := ARRAY['_hc_lastop', '_hc_err'];
BEGIN
    e.id := nextval('salesforce._trigger_log_id_seq'); e.action := TG_OP; e.table_name := TG_TABLE_NAME;
    e.txid := txid_current(); e.created_at := clock_timestamp(); e.state := 'NEW';
    IF TG_OP = 'DELETE' THEN
        e.record_id := OLD.id; e.old := (hstore(OLD) - x)::text; e.sfid := OLD.sfid;
    ELSIF TG_OP = 'INSERT' THEN
        e.record_id := NEW.id; e.values := (hstore(NEW) - x)::text;
    ELSE
        e.record_id := NEW.id; e.old := (hstore(OLD) - x)::text; e.sfid := OLD.sfid;
        e.values := ((hstore(NEW) - hstore(OLD)) - x)::text;
    END IF;
    INSERT INTO salesforce._trigger_log VALUES (e.*);
    RETURN NULL;
END $$;
CREATE FUNCTION salesforce.hc_contact_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF get_xmlbinary() = 'base64' THEN
        NEW._hc_lastop := 'PENDING'; NEW._hc_err := NULL;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW._hc_lastop IS NOT NULL AND NEW._hc_lastop <> OLD._hc_lastop THEN
        RETURN NEW;
    END IF;
    NEW._hc_lastop := 'SYNCED'; NEW._hc_err := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER hc_contact_logtrigger AFTER INSERT OR DELETE OR UPDATE ON salesforce.contact FOR EACH ROW
    WHEN (public.get_xmlbinary()::text = 'base64') EXECUTE FUNCTION salesforce.hc_contact_logger();
CREATE TRIGGER hc_contact_status_trigger BEFORE INSERT OR UPDATE ON salesforce.contact FOR EACH ROW
    EXECUTE FUNCTION salesforce.hc_contact_status();
