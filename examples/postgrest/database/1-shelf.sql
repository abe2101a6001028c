-- What the API shows: books to browse, and loans that are taken once per key.
CREATE ROLE reader NOLOGIN;
CREATE SCHEMA api;
CREATE TABLE api.books (id int PRIMARY KEY, title text NOT NULL);
CREATE TABLE api.loans (key text PRIMARY KEY, book int NOT NULL REFERENCES api.books, taken timestamptz NOT NULL DEFAULT now());
INSERT INTO api.books SELECT n, 'Book ' || n FROM generate_series(1, 50) n;
GRANT USAGE ON SCHEMA api TO reader;
GRANT SELECT ON api.books TO reader;
GRANT SELECT, INSERT ON api.loans TO reader;
