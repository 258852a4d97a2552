-- Runs once, in an empty database, as its owner: a table, and a login for the server, to which compose.yaml grants the rest.
create table people (id bigint generated always as identity primary key, name text not null);
insert into people (name) values ('Grace');
create role listenql login password 'example-of-the-server';
