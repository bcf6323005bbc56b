-- The index by which words are found in unresolved errors; only where the extension pg_trgm can be had.
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
DO $do$
BEGIN
    EXECUTE format(
        $sql$CREATE INDEX error_words ON syncdeck.error USING gin ((message || E'\n' || code || E'\n' || sent || E'\n'
            || coalesce(record_id::text, '') || ' ' || coalesce(sfid, '')) %s.gin_trgm_ops) WHERE resolved_at IS NULL$sql$,
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'));
END $do$;
