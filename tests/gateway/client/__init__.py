"""The HTTP client of the gateway, against providers that misbehave."""
