-- Postings of account $2 of tenant $1 in currency $3 (in each, if null) by effective time, after (effective time $4,
-- position $5, line $6), up to effective time $7 and position $8; at most $9.
--
-- Each lane is read in its order from where the page begins, at most a page of it, up to its last posting of position $8:
-- what was recorded later in an ordered lane is behind that one. Lanes -1 and -2 are checked posting by posting. Asking that
-- last posting for its recording time makes the primary key, which leads to it at once, the cheapest way to it.
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
    LEFT JOIN LATERAL (
        SELECT p.effective_at, p.position, p.line, p.recorded_at
        FROM view_posting p
        WHERE p.tenant_id = $1 AND p.account = $2 AND p.currency = balance.currency AND p.lane = lanes.lane::smallint
          AND (p.position, p.line) <= ($8, 2147483647)
        ORDER BY p.position DESC, p.line DESC
        LIMIT 1
    ) last ON lanes.lane >= 0
    CROSS JOIN LATERAL (
        SELECT *
        FROM view_posting p
        WHERE p.tenant_id = $1 AND p.account = $2 AND p.currency = balance.currency AND p.lane = lanes.lane::smallint
          AND (p.effective_at, p.position, p.line) > ($4, $5, $6)
          AND (p.effective_at, p.position, p.line) <= (
              least(coalesce(last.effective_at, $7), $7),
              CASE WHEN last.effective_at <= $7 THEN last.position ELSE 9223372036854775807 END,
              CASE WHEN last.effective_at <= $7 THEN last.line ELSE 2147483647 END)
          AND p.position <= $8
        ORDER BY p.effective_at, p.position, p.line
        LIMIT $9
    ) found
    WHERE balance.tenant_id = $1 AND balance.account = $2 AND ($3::text IS NULL OR balance.currency = $3)
      AND (lanes.lane < 0 OR last.recorded_at IS NOT NULL)
    ORDER BY found.effective_at, found.position, found.line
    LIMIT $9
) posting ON true
ORDER BY posting.effective_at, posting.position, posting.line
