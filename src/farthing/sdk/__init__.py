"""The in-process door: guard, its transport and reports. Nothing heavy is imported before the first call."""
