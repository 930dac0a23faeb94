-- Postings of account $2 of tenant $1 in currency $3 (in each, if null) in the order of the log, after (position $4, line
-- $5), up to position $6; at most $7. Each lane is read in its order from where the page begins, at most a page of it.
SELECT head.as_of, head.is_known, posting.position, posting.line, posting.type, posting.effective_at, posting.recorded_at,
       posting.currency, posting.scale, posting.debit, posting.credit, posting.currency_debit, posting.currency_credit,
       posting.due_at, posting.stream, posting.reference, posting.description, posting.party, posting.item, posting.tax,
       posting.memo, posting.dimensions::text AS dimensions
FROM (
    SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
           EXISTS (SELECT FROM view_account WHERE tenant_id = $1 AND code = $2) AS is_known
) head
LEFT JOIN LATERAL (
    SELECT found.*
    FROM view_account_balance balance
    CROSS JOIN LATERAL generate_series(-2, cardinality(string_to_array(balance.lanes, ',')) - 1) AS lanes (lane)
    CROSS JOIN LATERAL (
        SELECT *
        FROM view_posting p
        WHERE p.tenant_id = $1 AND p.account = $2 AND p.currency = balance.currency AND p.lane = lanes.lane::smallint
          AND (p.position, p.line) > ($4, $5) AND p.position <= $6
        ORDER BY p.position, p.line
        LIMIT $7
    ) found
    WHERE balance.tenant_id = $1 AND balance.account = $2 AND ($3::text IS NULL OR balance.currency = $3)
    ORDER BY found.position, found.line
    LIMIT $7
) posting ON true
ORDER BY posting.position, posting.line
