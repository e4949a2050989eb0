"""Recorded traffic of real providers, sent through a running gateway and compared with its ledger."""
