INSERT INTO results (run, stage, feature, scenario, place, verdict, released, detect, restore, requests, failed, step, why, wall)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
