"""The policy room: decisions as tables, properties and speed."""
