"""The words: money, call, usage, period, errors. Frozen values; imports nothing of ours."""
