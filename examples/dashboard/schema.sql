create table orders (
  id int generated always as identity primary key,
  placed_on date not null default current_date,
  country text not null,
  product text not null,
  amount numeric(10, 2) not null,
  state text not null default 'open' check (state in ('open', 'paid', 'shipped', 'cancelled'))
);

-- A random order, for this script and for simulate.sql.
create function place_order(day date default current_date) returns void language sql as $$
  insert into orders (placed_on, country, product, amount)
  select
    day,
    (array['Austria', 'France', 'Italy', 'Spain'])[1 + floor(random() * 4)::int],
    (array['Books', 'Games', 'Garden', 'Music', 'Tools'])[1 + floor(random() * 5)::int],
    round((5 + random() * 195)::numeric, 2)
$$;
select place_order(current_date - day) from generate_series(13, 1, -1) day, generate_series(1, 300 + 80 * (day % 4));
update orders set state = case when placed_on = current_date - 1 then 'paid' when id % 9 = 0 then 'cancelled' else 'shipped' end;
select place_order() from generate_series(1, 60);

grant select on orders to listenql; -- the login of the server
select listenql.watch('orders');
