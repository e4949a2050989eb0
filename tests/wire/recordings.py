"""Where the recorded traffic of providers lies: beside the repository, or where a variable says."""

import os
from pathlib import Path

TRAFFIC = Path(os.environ.get("FARTHING_TRAFFIC") or Path(__file__).parents[2] / "../shared/traffic")
