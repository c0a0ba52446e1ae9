# part: quick
# packages: sqlite3
sqlite3 db <<'END'
create table t (id integer primary key, name text, v real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) insert into t select i, 'name' || (i * 7919 % 1000), i / 3.0 from n;
create index by_name on t (name);
select name, count(*), round(sum(v), 3) from t group by name order by 3 desc limit 5;
begin; delete from t where id % 2; rollback; select count(*) from t;
select json_group_array(id) from (select id from t where name = 'name7' limit 4); pragma integrity_check; vacuum;
END
sqlite3 db 'select * from nowhere'; echo $?; sqlite3 -csv db 'select * from t limit 3'
