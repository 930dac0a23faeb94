-- Every account of tenant $1 with its sums, by code; at most $2.
SELECT head.as_of, account.code, account.definition ->> 'name' AS name, account.definition ->> 'account_type' AS account_type,
       coalesce(balance.money, (SELECT money FROM view_account_balance WHERE tenant_id = $1 LIMIT 1), 0::smallint) AS money,
       coalesce(balance.debits, 0)::text AS debits, coalesce(balance.credits, 0)::text AS credits
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_account account ON account.tenant_id = $1
LEFT JOIN view_account_balance balance ON balance.tenant_id = $1 AND balance.account = account.code
ORDER BY account.code
LIMIT $2
