"""Collect the tests of recorded traffic only where the recordings are."""

from tests.wire.recordings import TRAFFIC

collect_ignore = [] if TRAFFIC.is_dir() else ["test_recorded_traffic.py"]
