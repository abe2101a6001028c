SELECT began, commit_id, dirty, version, seed, pace, released, verdict, detect, restore, requests, failed, step, why, wall
FROM results JOIN runs ON runs.id = run
WHERE stage = ? AND feature = ? AND scenario = ? AND began < ? ORDER BY run DESC, results.id DESC LIMIT ?
