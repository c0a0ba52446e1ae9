# part: quick
# packages: postgresql postgresql-contrib
# user: postgres
# output: s/(current transaction|database system was shut down at|ms).*//
# output: /time: [0-9.]+ ms/d
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
"$bin/initdb" -D data -A trust -U me --no-sync > log 2>&1; tail -3 log | wc -l
"$bin/pg_ctl" -D data -l server -w -o "-p $PORT -k $PWD -c autovacuum=off -c fsync=off" start > /dev/null && echo started
psql() { "$bin/psql" -X -q -h "$PWD" -p "$PORT" -U me "$@"; }
psql postgres <<'END'
create table t (id serial primary key, name text, v numeric, tags text[], doc jsonb);
insert into t (name, v, tags, doc) select 'n' || i % 50, i / 7.0, array['a', i::text], jsonb_build_object('i', i, 'l', array[i, i + 1]) from generate_series(1, 5000) i;
create index on t (name); create index on t using gin (doc); analyze t;
select name, count(*), round(sum(v), 2) from t group by 1 order by 3 desc limit 5;
select rank() over (partition by name order by v desc), id from t where name in ('n1', 'n2') order by 1, 2 limit 6;
with recursive f(a, b) as (values (0::numeric, 1::numeric) union all select b, a + b from f where b < 1e30) select max(b) from f;
select doc -> 'l' from t where doc @> '{"i": 77}'; select string_agg(upper(name), ',' order by id) from t where id < 9;
create function f(n int) returns int language plpgsql as $$ begin if n < 2 then return n; end if; return f(n - 1) + f(n - 2); end $$; select f(15);
begin; delete from t; rollback; select count(*) from t; select 1 / 0; copy (select id from t limit 3) to stdout; explain (costs off) select * from t where name = 'n3';
set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select sum(length(name)) from t; vacuum t;
END
"$bin/pg_dump" -h "$PWD" -p "$PORT" -U me postgres | grep -Ev '^(--|.(un)?restrict)' | md5sum; "$bin/pg_ctl" -D data -m fast -w stop > /dev/null; echo stopped
