-- A table that comes into use has its statistics.
DO $$
DECLARE
    view_name text;
BEGIN
    FOREACH view_name IN ARRAY string_to_array(current_setting('ledger.views'), ',') LOOP
        EXECUTE format('ANALYZE ledger_rebuild.%I', view_name);
    END LOOP;
END
$$
