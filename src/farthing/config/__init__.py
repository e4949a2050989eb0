"""Text becomes a running governor; the only room that names a concrete store."""
