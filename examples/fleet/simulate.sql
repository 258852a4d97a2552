-- Most vehicles drive 20 m. At a crossing, half of them turn; at the edge of the town, they turn round.
update vehicles
set heading = way, x = x + 20 * cosd(way), y = y + 20 * sind(way)
from (
  select
    id as moving,
    case
      when x + 20 * cosd(turned) between 0 and 1000 and y + 20 * sind(turned) between 0 and 600 then turned
      else (turned + 180) % 360
    end as way
  from (
    select *, case when x % 100 = 0 and y % 100 = 0 then (heading + turn) % 360 else heading end as turned
    from (select *, (array[0, 0, 90, 270])[1 + floor(random() * 4)::int] as turn from vehicles) v
  ) v
  where random() < 0.9
) moves
where id = moving;
