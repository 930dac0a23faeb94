-- As a reader locks what it reads, but all at once.
LOCK TABLE view_account, view_account_balance, view_definition, view_document, view_entry, view_hold, view_item, view_location,
    view_lot, view_pending, view_posting, view_reservation, view_serial, view_stock_card, view_stock_cell, view_stock_level
IN ACCESS SHARE MODE
