-- What item $2 of tenant $1 had (at location $3, if given) at each of the effective times $4, which rise, as known after the
-- event at position $5. One look-up per time and lane; lane -1, which has no order, is read once.
-- `position + 0`: found by effective time. A planner without statistics of a new history else goes by position, and sorts.
WITH level AS MATERIALIZED (
    SELECT location, cardinality(string_to_array(lanes, ',')) AS lanes
    FROM view_stock_level
    WHERE tenant_id = $1 AND sku = $2 AND ($3::text IS NULL OR location = $3)
), ordered AS (
    SELECT instant.n, sum(last.lane_on_hand) AS on_hand, sum(last.lane_value) AS value
    FROM unnest($4::bigint[]) WITH ORDINALITY AS instant (at, n)
    CROSS JOIN level
    CROSS JOIN LATERAL generate_series(0, level.lanes - 1) AS lanes (lane)
    CROSS JOIN LATERAL (
        SELECT card.lane_on_hand, card.lane_value
        FROM view_stock_card card
        WHERE card.tenant_id = $1 AND card.sku = $2 AND card.location = level.location AND card.lane = lanes.lane::smallint
          AND card.effective_at <= instant.at AND card.position + 0 <= $5
        ORDER BY card.effective_at DESC, card.position DESC, card.line DESC
        LIMIT 1
    ) last
    GROUP BY instant.n
), unordered AS (
    -- The first time that includes the movement: times before it, and one.
    SELECT width_bucket(card.effective_at - 1, $4::bigint[]) + 1 AS n, sum(card.quantity) AS on_hand, sum(card.value) AS value
    FROM level
    JOIN view_stock_card card
      ON card.tenant_id = $1 AND card.sku = $2 AND card.location = level.location AND card.lane = -1 AND card.position + 0 <= $5
    GROUP BY 1
)
SELECT instant.at,
       (coalesce(ordered.on_hand, 0) + sum(coalesce(unordered.on_hand, 0)) OVER up_to)::bigint AS on_hand,
       (coalesce(ordered.value, 0) + sum(coalesce(unordered.value, 0)) OVER up_to)::bigint AS value
FROM unnest($4::bigint[]) WITH ORDINALITY AS instant (at, n)
LEFT JOIN ordered ON ordered.n = instant.n
LEFT JOIN unordered ON unordered.n = instant.n
WINDOW up_to AS (ORDER BY instant.n)
ORDER BY instant.n
