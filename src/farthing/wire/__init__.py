"""Provider dialects: bytes in, facts out; pure; one file per dialect, none knows another."""
