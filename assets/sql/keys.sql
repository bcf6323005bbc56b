-- A key as Salesforce compares it: without the control characters and blanks around it, in lower case; NULL when nothing is
-- left. Serves the indexes by which rows with one key are found; the capture calls it with its owner's rights, so what it
-- calls itself stands with its schema. Nearly all keys begin and end with something else, and are ASCII: to look takes a tenth
-- of what trimming them, and lowering them by ICU, takes, and in ASCII there is nothing that ICU does otherwise.
CREATE OR REPLACE FUNCTION {schema}.hc_trim_key(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT CASE WHEN key COLLATE pg_catalog."C" OPERATOR(pg_catalog.>=) '!'
            AND pg_catalog.right(key, 1) COLLATE pg_catalog."C" OPERATOR(pg_catalog.>=) '!' THEN key
        WHEN pg_catalog.btrim(key, E'\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20') OPERATOR(pg_catalog.<>) '' THEN pg_catalog.btrim(key, E'\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20') END
$function$;
CREATE OR REPLACE FUNCTION {schema}.hc_fold_key(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT CASE WHEN pg_catalog.octet_length(key) OPERATOR(pg_catalog.=) pg_catalog.char_length(key)
        THEN pg_catalog.lower({schema}.hc_trim_key(key) COLLATE {ascii_collation}) COLLATE {key_collation}
        ELSE pg_catalog.lower({schema}.hc_trim_key(key) COLLATE {key_collation}) END
$function$;
