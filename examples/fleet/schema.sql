-- A town of 1000 by 600 metres. Its streets are 100 m apart; heading is in degrees, clockwise from the east.
create table vehicles (
  id int generated always as identity primary key,
  fleet text not null,
  name text not null,
  x int not null,
  y int not null,
  heading int not null default 0
);

insert into vehicles (fleet, name, x, y)
select fleet, format('%s %s', kind, n), n * 100, row * 100
from (values ('Bikes', 'Bike', 1), ('Taxis', 'Taxi', 3), ('Vans', 'Van', 5)) f (fleet, kind, row),
  generate_series(1, 8) n
order by row, n;

grant select on vehicles to listenql; -- the login of the server
select listenql.watch('vehicles');
