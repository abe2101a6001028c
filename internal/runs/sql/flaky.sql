SELECT stage, feature, scenario, commit_id, version, seed, pace, count(*),
	count(*) FILTER (WHERE verdict = 'failed'), count(*) FILTER (WHERE verdict = 'inconclusive'),
	group_concat(verdict, ' ' ORDER BY run, results.id)
FROM results JOIN runs ON runs.id = run
WHERE commit_id <> '' AND NOT dirty AND coalesce(status, 0) <> 2
GROUP BY stage, feature, scenario, commit_id, version, seed, pace HAVING count(DISTINCT verdict) > 1
ORDER BY max(run) DESC, stage, feature, scenario
