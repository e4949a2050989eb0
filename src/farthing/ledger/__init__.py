"""Where money is remembered: entries, the store interface, the stores. The only room with state."""
