-- Migration 0042, 10 December 2025 (INC-036, amendment of ADR-0011).
-- The database creates its own partitions; no host and no cron entry is involved any more.

BEGIN;

CREATE OR REPLACE FUNCTION create_telemetry_partitions(days_ahead integer DEFAULT 7)
RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    day     date;
    part    text;
    created integer := 0;
BEGIN
    FOR day IN
        SELECT generate_series(
            (now() AT TIME ZONE 'UTC')::date,
            (now() AT TIME ZONE 'UTC')::date + days_ahead,
            interval '1 day')::date
    LOOP
        part := 'telemetry_' || to_char(day, 'YYYYMMDD');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF telemetry FOR VALUES FROM (%L) TO (%L)',
                part, day, day + 1);
            EXECUTE format('CREATE INDEX ON %I (device_id, received_at DESC)', part);
            created := created + 1;
        END IF;
    END LOOP;
    RETURN created;
END;
$$;

-- The default partition gets the index that it lacked on 3 December.
CREATE INDEX IF NOT EXISTS telemetry_default_device_idx
    ON telemetry_default (device_id, received_at DESC);

-- Drops what is older than the 25 months that customer contracts allow.
CREATE OR REPLACE FUNCTION drop_old_telemetry_partitions(keep interval DEFAULT '25 months')
RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    part text;
BEGIN
    FOR part IN
        SELECT inhrelid::regclass::text
        FROM pg_inherits
        WHERE inhparent = 'telemetry'::regclass
          AND inhrelid::regclass::text ~ '^telemetry_[0-9]{8}$'
    LOOP
        IF to_date(right(part, 8), 'YYYYMMDD') < now() - keep THEN
            EXECUTE format('DROP TABLE %I', part);
            RETURN NEXT part;
        END IF;
    END LOOP;
END;
$$;

COMMIT;
