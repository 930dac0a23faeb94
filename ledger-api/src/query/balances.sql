-- What was posted to the accounts $2 of tenant $1 (to all of them, if null), and what is pending at the instant $3, by code
-- and currency; at most $4 rows. OFFSET 0 keeps each account's rows read by their full keys, however many others there are.
SELECT head.as_of, account.code, account.stream_version, account.holds_inventory, account.definition ->> 'name' AS name,
       account.definition ->> 'account_type' AS account_type, account.definition ->> 'parent' AS parent,
       account.definition ->> 'minimum' AS minimum, account.definition ->> 'maximum' AS maximum,
       coalesce(balance.position, account.position) AS position, balance.currency, balance.scale,
       balance.debits, balance.credits, balance.currency_debits, balance.currency_credits,
       balance.pending_debits - coalesce(lapsed.debits, 0)::bigint AS pending_debits,
       balance.pending_credits - coalesce(lapsed.credits, 0)::bigint AS pending_credits,
       balance.currency_pending_debits - coalesce(lapsed.currency_debits, 0)::bigint AS currency_pending_debits,
       balance.currency_pending_credits - coalesce(lapsed.currency_credits, 0)::bigint AS currency_pending_credits
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT unnest($2::text[]) AS code
    UNION ALL
    SELECT code FROM view_account WHERE tenant_id = $1 AND $2::text[] IS NULL
) asked ON true
LEFT JOIN LATERAL (
    SELECT * FROM view_account WHERE tenant_id = $1 AND code = asked.code OFFSET 0
) account ON true
LEFT JOIN LATERAL (
    SELECT * FROM view_account_balance WHERE tenant_id = $1 AND view_account_balance.account = account.code OFFSET 0
) balance ON true
LEFT JOIN LATERAL (
    -- What has lapsed is free although nothing has recorded it yet.
    SELECT sum(debit) AS debits, sum(credit) AS credits, sum(currency_debit) AS currency_debits,
           sum(currency_credit) AS currency_credits
    FROM view_pending
    WHERE tenant_id = $1 AND view_pending.account = balance.account AND view_pending.currency = balance.currency
      AND expires_at <= $3 AND (balance.pending_debits <> 0 OR balance.pending_credits <> 0
                                OR balance.currency_pending_debits <> 0 OR balance.currency_pending_credits <> 0)
) lapsed ON true
ORDER BY account.code, balance.currency
LIMIT $4
