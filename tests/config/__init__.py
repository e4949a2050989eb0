"""The config room: files become policies, and mistakes become messages."""
