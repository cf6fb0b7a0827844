"""What docker/prometheus/check looks at."""
