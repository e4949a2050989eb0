"""What is allowed: rules and decisions; pure: no clock, no store."""
