-- What the service may do. It connects as whoever DATABASE_URL names and then takes this role, which owns nothing:
-- events can be inserted and read, never changed or removed.
DO $$
BEGIN
    CREATE ROLE ledger_service NOLOGIN;
EXCEPTION
    -- Roles belong to the whole server: another database of it may have made this one, perhaps just now.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
GRANT ledger_service TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO ledger_service;
GRANT SELECT, INSERT ON event TO ledger_service;
GRANT SELECT, INSERT, UPDATE ON tenant, tenant_head, api_key TO ledger_service;
GRANT SELECT, INSERT, DELETE ON command_without_event TO ledger_service;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON view_cursor, feed_cursor, view_item, view_location, view_stock_level,
    view_stock_card, view_reservation, view_hold, view_account, view_account_balance TO ledger_service;
