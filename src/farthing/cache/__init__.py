"""Where answers are kept for identical requests: never across environments or groups."""
