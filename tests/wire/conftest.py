"""Collect the tests of recorded traffic only where the recordings are; give properties time."""

from hypothesis import settings

from tests.wire.recordings import TRAFFIC

collect_ignore = [] if TRAFFIC.is_dir() else ["test_recorded_traffic.py"]

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
