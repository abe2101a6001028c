SELECT id, began, ended, status, service, stages, part, seed, pace, version, commit_id, committed, dirty,
	(SELECT count(*) FROM results WHERE run = runs.id AND verdict = 'passed'),
	(SELECT count(*) FROM results WHERE run = runs.id AND verdict = 'failed'),
	(SELECT count(*) FROM results WHERE run = runs.id AND verdict = 'inconclusive'),
	(SELECT coalesce(group_concat(stage || ' ' || detect || ' ' || restore, char(10)), '') FROM results WHERE run = runs.id AND (detect >= 0 OR restore >= 0))
FROM runs ORDER BY id DESC LIMIT ?
