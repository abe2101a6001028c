WITH newest AS (SELECT stage, max(run) AS run FROM results JOIN runs ON runs.id = run WHERE NOT part AND status IN (0, 1) GROUP BY stage)
SELECT stage, feature, scenario, place, run < coalesce((SELECT newest.run FROM newest WHERE newest.stage = lines.stage), 0)
FROM (SELECT stage, feature, scenario, place, run, max(id) AS last FROM results GROUP BY stage, feature, scenario) AS lines -- place and run are of the last
ORDER BY last
