"""Traffic that never was: deterministic calls on a virtual clock, to show, to test and to measure with."""
