-- Makes the schema `ledger_rebuild`: empty copies of the views in `ledger.views`, and a cursor. One that is there stays if it
-- was made for the same tables and folds (`ledger.made_for`) and is not beyond the views: it goes on where it stopped.
--
-- A copy has everything its view has, indexes and constraints under the same names, so that it can take its place.
DO $$
DECLARE
    made_for CONSTANT text := current_setting('ledger.made_for');
    view_name text;
    is_there boolean;
    source record;
    index record;
    allowed record;
BEGIN
    DROP SCHEMA IF EXISTS ledger_retired CASCADE;
    is_there := obj_description(to_regnamespace('ledger_rebuild'), 'pg_namespace') IS NOT DISTINCT FROM made_for;
    IF is_there THEN
        SELECT NOT EXISTS (
            SELECT FROM ledger_rebuild.view_cursor r LEFT JOIN public.view_cursor c USING (tenant_id)
            WHERE r.position > coalesce(c.position, 0)
        ) INTO is_there;
    END IF;
    IF is_there THEN
        RETURN;
    END IF;
    DROP SCHEMA IF EXISTS ledger_rebuild CASCADE;
    CREATE SCHEMA ledger_rebuild;
    GRANT USAGE ON SCHEMA ledger_rebuild TO ledger_service;
    CREATE TABLE ledger_rebuild.view_cursor (LIKE public.view_cursor INCLUDING ALL) WITH (fillfactor = 50);
    GRANT SELECT, INSERT, UPDATE ON ledger_rebuild.view_cursor TO ledger_service;
    FOREACH view_name IN ARRAY string_to_array(current_setting('ledger.views'), ',') LOOP
        SELECT c.oid, c.relowner, c.relacl, c.reloptions, c.relrowsecurity OR c.relhastriggers OR c.relhasrules OR c.relispartition OR
            EXISTS (SELECT FROM pg_constraint k WHERE 'f' = k.contype AND c.oid IN (k.conrelid, k.confrelid)) AS is_special
        INTO STRICT source
        FROM pg_class c WHERE c.oid = format('public.%I', view_name)::regclass AND c.relkind = 'r';
        IF source.is_special THEN
            RAISE EXCEPTION '% has policies, rules, triggers or foreign keys, which a copy would lack', view_name;
        END IF;
        EXECUTE format('CREATE TABLE ledger_rebuild.%1$I (LIKE public.%1$I INCLUDING ALL EXCLUDING INDEXES)', view_name);
        EXECUTE format('ALTER TABLE ledger_rebuild.%I OWNER TO %I', view_name, pg_get_userbyid(source.relowner));
        IF source.reloptions IS NOT NULL THEN
            EXECUTE format('ALTER TABLE ledger_rebuild.%I SET (%s)', view_name, array_to_string(source.reloptions, ', '));
        END IF;
        FOR index IN
            SELECT c.relname, pg_get_indexdef(i.indexrelid) AS definition, k.contype
            FROM pg_index i
            JOIN pg_class c ON c.oid = i.indexrelid
            LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
            WHERE i.indrelid = source.oid
        LOOP
            EXECUTE regexp_replace(index.definition, ' ON public\.', ' ON ledger_rebuild.');
            IF index.contype IN ('p', 'u') THEN
                EXECUTE format('ALTER TABLE ledger_rebuild.%I ADD CONSTRAINT %I %s USING INDEX %2$I', view_name, index.relname,
                    CASE index.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END);
            END IF;
        END LOOP;
        FOR allowed IN
            SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
            FROM aclexplode(source.relacl) a
        LOOP
            EXECUTE format('GRANT %s ON ledger_rebuild.%I TO %s', allowed.privilege_type, view_name, allowed.grantee);
        END LOOP;
    END LOOP;
    EXECUTE format('COMMENT ON SCHEMA ledger_rebuild IS %L', made_for);
END
$$
