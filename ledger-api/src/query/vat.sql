-- What was posted with each tax code of tenant $1 from effective time $2 to effective time $3, up to position $4, in units,
-- debits less credits: on the code's own account, and on the others. At most $5 rows.
SELECT head.as_of, code.code, code.body ->> 'name' AS name, code.body ->> 'rate' AS rate, code.body ->> 'direction' AS direction,
       code.body ->> 'account' AS account, coalesce(posted.postings, 0) AS postings,
       coalesce(posted.base, 0)::text AS base, coalesce(posted.tax, 0)::text AS tax
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_definition code ON code.tenant_id = $1 AND code.kind = 'tax_code'
LEFT JOIN LATERAL (
    SELECT count(*) AS postings,
           sum(p.debit - p.credit) FILTER (WHERE p.account <> code.body ->> 'account') AS base,
           sum(p.debit - p.credit) FILTER (WHERE p.account = code.body ->> 'account') AS tax
    FROM view_posting p
    WHERE p.tenant_id = $1 AND p.tax = code.code AND p.effective_at >= $2 AND p.effective_at <= $3 AND p.position <= $4
      AND p.lane <> -2
) posted ON true
ORDER BY code.code
LIMIT $5
