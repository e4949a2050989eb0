"""Where recorded traffic of real providers is, if it is here at all."""

import os
from pathlib import Path

_BESIDE = Path(__file__).parents[3] / "shared" / "traffic"
TRAFFIC = Path(os.environ.get("FARTHING_TRAFFIC", _BESIDE))
