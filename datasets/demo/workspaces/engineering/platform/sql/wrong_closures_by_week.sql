-- Wrong closures per week and 1,000 valve-months, by firmware version.
-- A closure counts as wrong when support marked it so, or when the valve was opened again within
-- 30 minutes and no flow above 2 litres a minute was seen afterwards.
WITH closures AS (
    SELECT c.valve_id,
           c.firmware,
           date_trunc('week', c.closed_at) AS week,
           c.support_verdict = 'wrong'
             OR (c.reopened_at - c.closed_at < interval '30 minutes'
                 AND c.max_flow_after_l_min <= 2.0) AS wrong
    FROM valve_closures AS c
    WHERE c.cause = 'automatic'
      AND c.closed_at >= now() - interval '26 weeks'
),
fleet AS (
    SELECT firmware, date_trunc('week', day) AS week, sum(valves) / 30.4 AS valve_months
    FROM fleet_by_day
    GROUP BY 1, 2
)
SELECT f.week,
       f.firmware,
       count(*) FILTER (WHERE k.wrong)                                  AS wrong_closures,
       count(k.valve_id)                                                AS closures,
       round(1000.0 * count(*) FILTER (WHERE k.wrong) / f.valve_months, 2) AS wrong_per_1000
FROM fleet AS f
LEFT JOIN closures AS k USING (week, firmware)
GROUP BY f.week, f.firmware, f.valve_months
ORDER BY f.week DESC, f.firmware;
