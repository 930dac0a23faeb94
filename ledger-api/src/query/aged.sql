-- What is open of each party on the accounts of type $2 of tenant $1 (on account $3, if given) as of effective time $4 and
-- position $5, in units on the accounts' normal side; at most $6 rows. Of a foreign currency, in that currency.
--
-- A row is an item that does not sum to zero, a charge without an item, or (`is_credit`) all that was paid without naming an
-- item. What was paid goes to the oldest first, so what remains open are the newest: a charge that has more newer charges
-- than anything can remain of is paid, is left out here, and is taken off what was paid.
WITH posting AS (
    SELECT p.account, p.party, p.currency, p.scale, p.item, p.due_at, p.effective_at, p.position, p.line,
           CASE WHEN p.currency = '' THEN p.debit - p.credit ELSE p.currency_debit - p.currency_credit END
               * CASE WHEN $2 = 'asset' THEN 1 ELSE -1 END AS units
    FROM view_account account
    CROSS JOIN LATERAL (
        SELECT *
        FROM view_posting
        WHERE tenant_id = $1 AND view_posting.account = account.code AND party IS NOT NULL AND effective_at <= $4
          AND position <= $5
        OFFSET 0
    ) p
    WHERE account.tenant_id = $1 AND account.definition ->> 'account_type' = $2 AND ($3::text IS NULL OR account.code = $3)
),
named AS (
    SELECT account, party, currency, max(scale) AS scale, item, min(due_at) AS due_at, min(effective_at) AS effective_at,
           min(position) AS position, min(line) AS line, sum(units) AS units
    FROM posting
    WHERE item IS NOT NULL
    GROUP BY account, party, currency, item
    HAVING sum(units) <> 0
),
loose AS (
    SELECT *, coalesce(sum(greatest(units, 0)) OVER (
               PARTITION BY account, party, currency
               ORDER BY coalesce(due_at, effective_at) DESC, effective_at DESC, position DESC, line DESC
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS newer
    FROM posting
    WHERE item IS NULL
),
paid AS (
    SELECT account, party, currency, max(scale) AS scale, max(effective_at) AS effective_at,
           sum(greatest(units, 0)) AS charged, sum(greatest(-units, 0)) AS units
    FROM loose
    GROUP BY account, party, currency
),
standing AS (
    SELECT paid.*, charged - paid.units + coalesce((
               SELECT sum(greatest(named.units, 0))
               FROM named
               WHERE named.account = paid.account AND named.party = paid.party AND named.currency = paid.currency
           ), 0) AS remaining
    FROM paid
),
open AS (
    SELECT loose.*
    FROM loose
    JOIN standing ON standing.account = loose.account AND standing.party = loose.party AND standing.currency = loose.currency
    WHERE loose.units > 0 AND loose.newer < standing.remaining
),
line AS (
    SELECT account, party, currency, scale, item, due_at, effective_at, position, line, units, false AS is_credit FROM named
    UNION ALL
    SELECT account, party, currency, scale, item, due_at, effective_at, position, line, units, false FROM open
    UNION ALL
    SELECT account, party, currency, scale, NULL, NULL, effective_at, 0, 0, units - charged + coalesce((
               SELECT sum(open.units)
               FROM open
               WHERE open.account = standing.account AND open.party = standing.party AND open.currency = standing.currency
           ), 0), true
    FROM standing
    WHERE units > 0
)
SELECT head.as_of, line.account, line.party, line.currency, line.scale, line.item, line.due_at, line.effective_at,
       line.units::bigint AS units, line.is_credit
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN line ON true
ORDER BY line.account, line.party, line.currency, coalesce(line.due_at, line.effective_at), line.effective_at, line.position,
         line.line
LIMIT $6
