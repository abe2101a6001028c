-- Version 1 of a store: see schema in store.go.
CREATE TABLE runs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	began INTEGER NOT NULL,  -- milliseconds since 1970, as all times
	ended INTEGER, status INTEGER, -- NULL: it goes on, or was killed
	service TEXT NOT NULL, stages TEXT NOT NULL, part INTEGER NOT NULL,
	seed TEXT NOT NULL, pace REAL NOT NULL, version TEXT NOT NULL,
	commit_id TEXT NOT NULL, committed INTEGER, dirty INTEGER NOT NULL
) STRICT;
CREATE TABLE results (
	id INTEGER PRIMARY KEY,
	run INTEGER NOT NULL REFERENCES runs (id),
	stage TEXT NOT NULL, feature TEXT NOT NULL, scenario TEXT NOT NULL, place TEXT NOT NULL,
	verdict TEXT NOT NULL,
	released TEXT NOT NULL,    -- the version
	detect INTEGER NOT NULL, restore INTEGER NOT NULL, -- nanoseconds of release time; -1: not
	requests INTEGER NOT NULL, failed INTEGER NOT NULL,
	step TEXT NOT NULL, why TEXT NOT NULL, -- of the first step that did not pass
	wall INTEGER NOT NULL      -- nanoseconds
) STRICT;
CREATE INDEX results_of_run ON results (run);
CREATE INDEX results_of_scenario ON results (stage, feature, scenario, run);
PRAGMA application_id = 0x52685052; -- as application in store.go, by which a file is known as ours
PRAGMA user_version = 1;            -- as schema in store.go
