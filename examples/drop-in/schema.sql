-- The table and the trigger of the article. The embedded Postgres of listenql has both from the start.
CREATE TABLE IF NOT EXISTS people (
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

-- Not in the article: deleted rows.
CREATE FUNCTION data_delete() RETURNS trigger AS
$$
    BEGIN
        PERFORM pg_notify('people', (to_jsonb(OLD.*) || '{"dml_action": "DELETE", "dml_table": "people"}'::jsonb)::text);
        RETURN NULL;
    END;
$$ LANGUAGE 'plpgsql';

CREATE TRIGGER data_delete_trigger
    AFTER DELETE ON people
    FOR EACH ROW
        EXECUTE FUNCTION data_delete();
