-- What was posted to the accounts $2 of tenant $1 (to all of them, if null) in currency $3 (in each, if null) as of two
-- bounds, by code and currency; at most $10 rows. Counted is what stands up to (effective time $4, position $5, line $6) in
-- the order of effective times and up to (position $7, line $8) in the order of the log, without the closing of fiscal
-- years unless $9.
--
-- Within a lane postings stand in both orders at once, so what is counted of it ends with the last posting within the one
-- bound, or before that with the last one within the other: one or two index look-ups, and that posting has the lane's
-- totals. Lane -1 has no order and is summed, as is lane -2, the closing of fiscal years. OFFSET 0 keeps each account's rows
-- read by their full keys.
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
      AND ($3::text IS NULL OR view_account_balance.currency = $3)
    OFFSET 0
) balance ON true
LEFT JOIN LATERAL (
    SELECT max(part.position) AS position, sum(part.debits) AS debits, sum(part.credits) AS credits,
           sum(part.currency_debits) AS currency_debits, sum(part.currency_credits) AS currency_credits
    FROM (
        SELECT ends.position, ends.debits, ends.credits, ends.currency_debits, ends.currency_credits
        FROM generate_series(0, cardinality(string_to_array(balance.lanes, ',')) - 1) AS lanes (lane)
        CROSS JOIN LATERAL (
            SELECT p.effective_at, p.position, p.line, p.lane_debits, p.lane_credits, p.lane_currency_debits,
                   p.lane_currency_credits
            FROM view_posting p
            WHERE p.tenant_id = $1 AND p.account = account.code AND p.currency = balance.currency
              AND p.lane = lanes.lane::smallint AND (p.position, p.line) <= ($7, $8)
            ORDER BY p.position DESC, p.line DESC
            LIMIT 1
        ) newest
        CROSS JOIN LATERAL (
            SELECT newest.position, newest.lane_debits AS debits, newest.lane_credits AS credits,
                   newest.lane_currency_debits AS currency_debits, newest.lane_currency_credits AS currency_credits
            WHERE (newest.effective_at, newest.position, newest.line) <= ($4, $5, $6)
            UNION ALL
            (SELECT p.position, p.lane_debits, p.lane_credits, p.lane_currency_debits, p.lane_currency_credits
             FROM view_posting p
             WHERE p.tenant_id = $1 AND p.account = account.code AND p.currency = balance.currency
               AND p.lane = lanes.lane::smallint AND (p.effective_at, p.position, p.line) <= ($4, $5, $6)
               AND (newest.effective_at, newest.position, newest.line) > ($4, $5, $6)
             ORDER BY p.effective_at DESC, p.position DESC, p.line DESC
             LIMIT 1)
        ) ends
        UNION ALL
        SELECT p.position, p.debit, p.credit, p.currency_debit, p.currency_credit
        FROM view_posting p
        WHERE p.tenant_id = $1 AND p.account = account.code AND p.currency = balance.currency AND p.lane = -1
          AND (p.effective_at, p.position, p.line) <= ($4, $5, $6) AND (p.position, p.line) <= ($7, $8)
        UNION ALL
        SELECT p.position, p.debit, p.credit, p.currency_debit, p.currency_credit
        FROM view_posting p
        WHERE p.tenant_id = $1 AND p.account = account.code AND p.currency = balance.currency AND p.lane = -2 AND $9
          AND (p.effective_at, p.position, p.line) <= ($4, $5, $6) AND (p.position, p.line) <= ($7, $8)
    ) part
) total ON true
ORDER BY account.code, balance.currency
LIMIT $10
