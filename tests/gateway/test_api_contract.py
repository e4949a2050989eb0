"""The governance API keeps to its own description: schemathesis tries to find where it does not."""

import os
import subprocess
from pathlib import Path

from farthing.simulator.server import SimulatorServer
from tests.gateway.conftest import POLICY
from tests.running import ADMIN_TOKEN, RunningGateway

SCHEMATHESIS = Path(__file__).parents[2] / ".venv" / "beside" / "contract" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance",
)  # fmt: skip
EXAMPLES = 12  # for each route


def run_schemathesis(gateway: RunningGateway, token: str) -> str:
    """Try every route with what its description allows and with what it does not; what was printed."""
    command = [
        str(SCHEMATHESIS), "run", f"{gateway.url}/api/openapi.json",
        "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS),
        "--phases", "examples,fuzzing", "--max-examples", str(EXAMPLES), "--generation-deterministic",
        "--continue-on-failure", "--no-shrink", "--no-color",
    ]  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ended = subprocess.run(
        command, cwd=gateway.folder, env=environ, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout[-8000:]}\n{ended.stderr[-2000:]}"
    return ended.stdout


def test_no_route_fails_or_answers_what_it_does_not_describe(
    simulator: SimulatorServer, tmp_path: Path
) -> None:
    with RunningGateway(POLICY, tmp_path, simulator) as gateway:
        gateway.chat(gateway.key("production"), "hello")
        described = gateway.request("GET", "/api/openapi.json").json()["paths"]

        told = run_schemathesis(gateway, ADMIN_TOKEN)

        assert f"Tested: {sum(map(len, described.values()))}" in told
        assert gateway.metric("farthing_internal_errors_total") == 0
        assert gateway.running.store.verify() == []
