"""The one journey: governor (authorize, settle, void) and relay (pass, meter, settle once)."""
