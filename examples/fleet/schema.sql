create table vehicles (
  id int generated always as identity primary key,
  fleet text not null,
  name text not null
);
grant select on vehicles to listenql;
select listenql.watch('vehicles');
insert into vehicles (fleet, name) values ('Bikes', 'A1');
