-- Half of the time, a new order; one of the open orders is paid or cancelled, one of the paid ones is shipped.
select place_order() where random() < 0.5;
update orders set state = case when random() < 0.9 then 'paid' else 'cancelled' end
where random() < 0.4 and id = (select id from orders where state = 'open' order by random() limit 1);
update orders set state = 'shipped'
where random() < 0.4 and id = (select id from orders where state = 'paid' order by random() limit 1);
