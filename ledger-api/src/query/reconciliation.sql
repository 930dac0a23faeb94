-- The value of all stock of tenant $1 beside each inventory account, by code; at most $2.
SELECT head.as_of, head.stock_value, account.code, account.definition ->> 'name' AS name,
       (coalesce(balance.debits, 0) - coalesce(balance.credits, 0))::text AS balance
FROM (
    SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
           (SELECT coalesce(sum(value), 0)::text FROM view_stock_level WHERE tenant_id = $1) AS stock_value
) head
LEFT JOIN view_account account ON account.tenant_id = $1 AND account.holds_inventory
LEFT JOIN LATERAL (
    SELECT sum(debits) AS debits, sum(credits) AS credits
    FROM view_account_balance
    WHERE tenant_id = $1 AND view_account_balance.account = account.code
) balance ON true
ORDER BY account.code
LIMIT $2
