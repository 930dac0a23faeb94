-- The copies of the views in `ledger.swapped` take the places of the views. In one transaction, whose lock on view_cursor keeps
-- projectors out and whose copies stand exactly where the views do: catalogue entries only.
DO $$
DECLARE
    view_name text;
    views CONSTANT text[] := string_to_array(current_setting('ledger.swapped'), ',');
BEGIN
    CREATE SCHEMA ledger_retired;
    -- All locks first: what readers wait for is the catalogue's work alone.
    EXECUTE (SELECT 'LOCK TABLE ' || string_agg(format('public.%I', v), ', ' ORDER BY v) || ' IN ACCESS EXCLUSIVE MODE' FROM unnest(views) v);
    FOREACH view_name IN ARRAY views LOOP
        EXECUTE format('ALTER TABLE public.%I SET SCHEMA ledger_retired', view_name);
        EXECUTE format('ALTER TABLE ledger_rebuild.%I SET SCHEMA public', view_name);
    END LOOP;
    -- Rows in the memory of projectors are those of the tables before.
    UPDATE public.view_cursor SET generation = generation + 1;
END
$$
