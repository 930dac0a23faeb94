-- What was posted to the accounts $2 of tenant $1 (to all of them, if null) with the dimensions $6, later than effective
-- time $3 and up to effective time $4 and position $5, by code and currency; at most $8 rows. Reads every posting of that
-- range, lane by lane, without the closing of fiscal years unless $7.
SELECT head.as_of, account.code, account.stream_version, account.holds_inventory, account.definition ->> 'name' AS name,
       account.definition ->> 'account_type' AS account_type, account.definition ->> 'parent' AS parent,
       account.definition ->> 'minimum' AS minimum, account.definition ->> 'maximum' AS maximum,
       coalesce(total.position, account.position) AS position, balance.currency, balance.scale,
       coalesce(total.debits, 0)::bigint AS debits, coalesce(total.credits, 0)::bigint AS credits,
       coalesce(total.currency_debits, 0)::bigint AS currency_debits,
       coalesce(total.currency_credits, 0)::bigint AS currency_credits,
       0::bigint AS pending_debits, 0::bigint AS pending_credits,
       0::bigint AS currency_pending_debits, 0::bigint AS currency_pending_credits
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
    SELECT currency, scale, lanes
    FROM view_account_balance
    WHERE tenant_id = $1 AND view_account_balance.account = account.code
    OFFSET 0
) balance ON true
LEFT JOIN LATERAL (
    SELECT max(p.position) AS position, sum(p.debit) AS debits, sum(p.credit) AS credits,
           sum(p.currency_debit) AS currency_debits, sum(p.currency_credit) AS currency_credits
    FROM generate_series(CASE WHEN $7 THEN -2 ELSE -1 END, cardinality(string_to_array(balance.lanes, ',')) - 1) AS lanes (lane)
    CROSS JOIN LATERAL (
        SELECT position, debit, credit, currency_debit, currency_credit
        FROM view_posting
        WHERE tenant_id = $1 AND view_posting.account = account.code AND view_posting.currency = balance.currency
          AND view_posting.lane = lanes.lane::smallint AND effective_at > $3 AND effective_at <= $4 AND position <= $5
          AND dimensions @> $6::jsonb
        OFFSET 0
    ) p
) total ON true
ORDER BY account.code, balance.currency
LIMIT $8
