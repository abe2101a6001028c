INSERT INTO runs (began, service, stages, part, seed, pace, version, commit_id, committed, dirty)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
