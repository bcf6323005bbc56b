-- Everything in a schema that a takeover may replace, as the statements that make it. $1 is the schema's name. It is read
-- with an empty search_path, so that every name is qualified.
SELECT 'trigger'::text AS kind, format('%I ON %s', tgname, tgrelid::regclass) AS name, tgrelid::regclass::text AS relation,
    pg_get_triggerdef(t.oid)
        || CASE tgenabled
            WHEN 'D' THEN format('; ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname)
            WHEN 'R' THEN format('; ALTER TABLE %s ENABLE REPLICA TRIGGER %I', tgrelid::regclass, tgname)
            WHEN 'A' THEN format('; ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', tgrelid::regclass, tgname)
            ELSE '' END
        || coalesce(format('; COMMENT ON TRIGGER %I ON %s IS ', tgname, tgrelid::regclass)
            || quote_literal(obj_description(t.oid, 'pg_trigger')), '') AS definition
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = quote_ident($1)::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'function', p.oid::regprocedure::text, '', pg_get_functiondef(p.oid)
    || format('; ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, pg_get_userbyid(proowner))
    || CASE WHEN proacl IS NULL THEN '' ELSE format('; REVOKE ALL ON ROUTINE %s FROM PUBLIC', p.oid::regprocedure)
        || coalesce((SELECT string_agg(format('; GRANT EXECUTE ON ROUTINE %s TO %s%s', p.oid::regprocedure,
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '' ORDER BY grantee)
            FROM aclexplode(proacl)), '') END
    || coalesce(format('; COMMENT ON ROUTINE %s IS ', p.oid::regprocedure)
        || quote_literal(obj_description(p.oid, 'pg_proc')), '')
FROM pg_proc p
WHERE pronamespace = quote_ident($1)::regnamespace AND prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
UNION ALL
SELECT 'index', indexrelid::regclass::text, indrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE relnamespace = quote_ident($1)::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
UNION ALL
SELECT 'table', oid::regclass::text, oid::regclass::text, format('TABLE %s', oid::regclass)
FROM pg_class WHERE relnamespace = quote_ident($1)::regnamespace AND relkind IN ('r', 'p')
UNION ALL
SELECT 'column', format('%s.%I', attrelid::regclass, attname), attrelid::regclass::text,
    format('ALTER TABLE %s ADD COLUMN %I %s', attrelid::regclass, attname, format_type(atttypid, atttypmod))
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = quote_ident($1)::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
