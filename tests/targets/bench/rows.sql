-- 200,000 rows in, looked for, grouped and out again.
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO item SELECT i, 'item number ' || i, i * 0.5, i % 97 FROM n;
CREATE INDEX by_name ON item (name);
SELECT kind, count(*), avg(price), max(upper(name)) FROM item GROUP BY kind LIMIT 3;
SELECT count(*) FROM item WHERE name LIKE '%99%';
SELECT count(*) FROM (SELECT DISTINCT substr(name, 1, 15) FROM item);
SELECT sum(length(group_concat)) FROM (SELECT group_concat(name) AS group_concat FROM item GROUP BY kind);
DELETE FROM item WHERE kind < 50;
