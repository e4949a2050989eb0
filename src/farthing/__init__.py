"""Governs what software spends on AI models, on one exact ledger."""

__version__ = "0.1.0"
