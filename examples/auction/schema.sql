create table lots (
  id int generated always as identity primary key,
  title text not null,
  price int not null,
  bid_count int not null default 0
);
create table bids (
  id uuid primary key,
  lot_id int not null references lots,
  bidder text not null default current_setting('request.jwt.claims')::json ->> 'sub',
  amount int not null,
  placed_at timestamptz not null default now()
);
create index on bids (lot_id);

-- Price and number of bids are public. A bid is visible to its bidder only, live and in every query.
create role bidder;
grant bidder to listenql;
grant select on lots, bids to bidder;
grant insert (id, lot_id, amount) on bids to bidder;
alter table bids enable row level security;
create policy own_bids on bids using (bidder = (select current_setting('request.jwt.claims')::json ->> 'sub'));

-- Locks the lot, so that of two bids at the same moment one sees the price of the other.
create function raise_price() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update lots set price = new.amount, bid_count = bid_count + 1 where id = new.lot_id and price < new.amount;
  if not found then
    raise exception 'The price is % already.', (select price from lots where id = new.lot_id);
  end if;
  return new;
end $$;
create trigger raise_price before insert on bids for each row execute function raise_price();

select listenql.watch('lots');
select listenql.watch('bids');

insert into lots (title, price) values ('A brass telescope', 120), ('A chess set of walnut', 40), ('A map of 1754', 260);
