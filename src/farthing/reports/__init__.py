"""What people learn later: reads the ledger, never writes money."""
