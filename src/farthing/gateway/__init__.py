"""The HTTP door: routes, keys, admin API; error to answer in one place."""
