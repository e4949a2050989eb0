"""Run the simulated providers from the command line: python -m farthing.simulator --port 0."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from farthing.simulator.behaviour import BadDirective, Behaviour
from farthing.simulator.record import KEPT_CALLS
from farthing.simulator.server import SimulatorServer, run_on_uvloop


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; print the address as one line once calls are answered."""
    told = _parser().parse_args(arguments)
    try:
        behaviour = Behaviour().told(told.behaviour)
        mock = Behaviour(echo=True).told(told.mock) if told.mock else None
    except BadDirective as error:
        sys.stderr.write(f"{error}\n")
        return 2
    server = SimulatorServer(
        behaviour, mock=mock, host=told.host, port=told.port, log=told.log, kept_calls=told.kept_calls
    )
    run_on_uvloop(_serve(server))
    server.close()
    return 0


async def _serve(server: SimulatorServer) -> None:
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, server.stop)
    await server.serve(lambda: _announce(server.url))


def _announce(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m farthing.simulator",
        description="Fake providers that speak the dialects of OpenAI, Anthropic and Gemini.",
        epilog="Example: python -m farthing.simulator --port 0 --behaviour latency_ms=5 output=200",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose; it is printed")
    parser.add_argument("--log", type=Path, help="append every call received to this file, as JSON lines")
    parser.add_argument(
        "--behaviour", nargs="*", default=[], metavar="SETTING=VALUE", help="how all calls are answered"
    )
    parser.add_argument(
        "--mock", nargs="*", default=[], metavar="SETTING=VALUE", help="how calls below /mock are answered"
    )
    parser.add_argument("--kept-calls", type=int, default=KEPT_CALLS, help="calls remembered in memory")
    return parser


if __name__ == "__main__":
    sys.exit(main())
