-- A part of a log. COPY takes no parameters, so they are settings of the transaction.
COPY (
    SELECT tenant_id, position, stream, stream_version, recorded_at, effective_at, type, schema_version, leaf_check, payload,
           command_id, fingerprint, stream_key, meta
    FROM event
    WHERE tenant_id = current_setting('ledger.tenant')::bigint
      AND position > current_setting('ledger.after')::bigint
      AND position <= current_setting('ledger.until')::bigint
    ORDER BY position
) TO STDOUT (FORMAT binary)
