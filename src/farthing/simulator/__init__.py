"""Fake providers that speak the real dialects: demo, CI, load tests."""
