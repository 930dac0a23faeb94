-- Location $2 of tenant $1 and every location inside of it.
WITH RECURSIVE inside AS (
    SELECT code FROM view_location WHERE tenant_id = $1 AND code = $2
    UNION
    SELECT child.code
    FROM inside
    JOIN view_location child ON child.tenant_id = $1 AND child.definition ->> 'parent' = inside.code
)
SELECT code FROM inside
