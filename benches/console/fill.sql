-- A million unresolved errors of eight mappings: frequent and rare codes, fields, categories, classes and states.
ALTER TABLE syncdeck.error SET UNLOGGED;
DROP INDEX IF EXISTS syncdeck.error_words;
INSERT INTO syncdeck.error (mapping, table_name, record_id, sfid, op, source, code, category, class, message, fields,
    fingerprint, attempts, state, next_retry_at, first_seen, last_seen, sent)
SELECT object, lower(object), i, CASE WHEN i % 3 > 0 THEN left(object, 3) || lpad(to_hex(i), 12, '0') || 'AAA' END,
    (ARRAY['insert', 'update', 'update', 'delete'])[1 + i % 4], CASE WHEN i % 10 = 0 THEN 'engine' ELSE 'salesforce' END,
    code, CASE WHEN i % 50 = 0 THEN 'connection' WHEN i % 97 = 0 THEN 'mapping' ELSE 'data' END,
    CASE WHEN i % 20 = 0 THEN 'transient' WHEN i % 5003 = 0 THEN 'unknown' ELSE 'permanent' END,
    code || ': value ' || i || ' of ' || object || ' is not good: somebody' || i || '@acme,com', ARRAY[field],
    left(md5(object || code || field), 16), i % 5,
    CASE WHEN i % 20 = 0 THEN 'retrying' WHEN i % 7001 = 0 THEN 'review' WHEN i % 33 = 0 THEN 'held' ELSE 'open' END,
    CASE WHEN i % 20 = 0 THEN now() + (i % 600) * interval '1 s' END, now() - i * interval '0.3 s',
    now() - (i::bigint * 7919 % 1000000) * interval '0.2 s',
    'LastName Doe' || i || E'\nEmail somebody' || i || '@acme,com\nPhone +1 415 555 ' || i
FROM (
    SELECT i, CASE WHEN i % 100003 = 0 THEN 'Product2'
            ELSE (ARRAY['Contact', 'Account', 'Lead', 'Opportunity', 'Case', 'Asset', 'Order'])[1 + i * 31 % 7] END AS object,
        CASE WHEN i % 10007 = 0 THEN 'MALFORMED_ID' ELSE
            (ARRAY['INVALID_EMAIL_ADDRESS', 'REQUIRED_FIELD_MISSING', 'STRING_TOO_LONG', 'UNABLE_TO_LOCK_ROW', 'DUPLICATE_VALUE',
            'NUMBER_OUTSIDE_VALID_RANGE', 'ENTITY_IS_DELETED'])[1 + (hashint4(i) & 1023) % 7] END AS code,
        CASE WHEN i % 20011 = 0 THEN 'Fax' ELSE
            (ARRAY['Email', 'Phone', 'LastName', 'Rating', 'AccountId', 'Amount__c'])[1 + (hashint4(i + 7) & 1023) % 6] END AS field
    FROM generate_series(1, 1000000) i
) made;
CREATE INDEX error_words ON syncdeck.error USING gin ((message || E'\n' || code || E'\n' || sent || E'\n'
    || coalesce(record_id::text, '') || ' ' || coalesce(sfid, '')) public.gin_trgm_ops) WHERE resolved_at IS NULL;
