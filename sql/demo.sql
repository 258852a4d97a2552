-- The example of the article "Real-time Database Events with pg_eventserv", unchanged: a table of people, and a trigger that
-- notifies the channel `people` of every row that is inserted or updated.

CREATE TABLE people (
    pk serial primary key,
    ts timestamptz DEFAULT now(),
    name text,
    age integer,
    height real
);

CREATE OR REPLACE FUNCTION data_change() RETURNS trigger AS
$$
    DECLARE
        js jsonb;
    BEGIN
        SELECT to_jsonb(NEW.*) INTO js;
        js := jsonb_set(js, '{dml_action}', to_jsonb(TG_OP));
        js := jsonb_set(js, '{dml_table}', to_jsonb(TG_TABLE_NAME));
        PERFORM (
            SELECT pg_notify('people', js::text)
        );
        RETURN NEW;
    END;
$$ LANGUAGE 'plpgsql';

CREATE OR REPLACE TRIGGER data_change_trigger
    BEFORE INSERT OR UPDATE ON people
    FOR EACH ROW
        EXECUTE FUNCTION data_change();

-- Not in the article: where people have been. The foreign key is a relation in GraphQL, in both directions.
CREATE TABLE visits (
    pk serial primary key,
    ts timestamptz DEFAULT now(),
    person_id integer NOT NULL REFERENCES people ON DELETE CASCADE,
    place text
);
CREATE INDEX ON visits (person_id);

-- The server's login may use the tables, but does not own them.
GRANT SELECT, INSERT, UPDATE, DELETE ON people, visits TO listenql;
GRANT USAGE, SELECT ON SEQUENCE people_pk_seq, visits_pk_seq TO listenql;
