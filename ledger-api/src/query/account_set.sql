-- The accounts of account set $2 of tenant $1, those of the sets in it included, each once; null if there is no such set. A
-- set is in itself through no other, but the union would end on a circle too.
WITH RECURSIVE inside AS (
    SELECT code, body FROM view_definition WHERE tenant_id = $1 AND kind = 'account_set' AND code = $2
    UNION
    SELECT inner_set.code, inner_set.body
    FROM inside
    CROSS JOIN LATERAL jsonb_array_elements_text(inside.body -> 'sets') AS named (code)
    JOIN view_definition inner_set
      ON inner_set.tenant_id = $1 AND inner_set.kind = 'account_set' AND inner_set.code = named.code
)
SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
       (SELECT stream_version FROM view_definition WHERE tenant_id = $1 AND kind = 'account_set' AND code = $2) AS stream_version,
       (SELECT body ->> 'name' FROM inside WHERE code = $2) AS name,
       CASE WHEN EXISTS (SELECT FROM inside) THEN ARRAY(
           SELECT DISTINCT member.account
           FROM inside
           CROSS JOIN LATERAL jsonb_array_elements_text(inside.body -> 'accounts') AS member (account)
       ) END AS accounts
