//! What every Shoal process needs: configuration, telemetry, tasks, shutdown, the admin port.
