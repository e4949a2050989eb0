"""The reports room: what people learn later."""
