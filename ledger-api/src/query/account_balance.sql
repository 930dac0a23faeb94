-- The balance of account $2 of tenant $1. An account nothing was posted to has the decimals the others have.
SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
       account.stream_version,
       coalesce(balance.position, account.position) AS position,
       coalesce(balance.money, (SELECT money FROM view_account_balance WHERE tenant_id = $1 LIMIT 1), 0::smallint) AS money,
       coalesce(balance.debits, 0)::text AS debits, coalesce(balance.credits, 0)::text AS credits
FROM (VALUES (1)) AS one (n)
LEFT JOIN view_account account ON account.tenant_id = $1 AND account.code = $2
LEFT JOIN view_account_balance balance ON balance.tenant_id = $1 AND balance.account = account.code
