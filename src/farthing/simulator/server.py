"""Run the simulated providers on a real socket: in a thread for tests, in the foreground for the command."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from farthing.simulator.app import RESET_EXTENSION, SimulatorApp
from farthing.simulator.behaviour import Behaviour
from farthing.simulator.record import KEPT_CALLS, Record

START_SECONDS_MAX = 10.0


class _ResettingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, and a way for the application to reset its connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {RESET_EXTENSION: {"reset": self._reset}}

    def _reset(self) -> None:
        connection: socket.socket = self.transport.get_extra_info("socket")
        # Zero seconds to linger: the kernel sends a reset instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class SimulatorServer:
    """Simulated providers on a loopback port, in a thread of their own.

    with SimulatorServer(Behaviour(latency_ms=5)) as simulator:
        openai.OpenAI(base_url=simulator.openai_url, api_key="any")
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        mock: Behaviour | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        kept_calls: int = KEPT_CALLS,
    ) -> None:
        self.record = Record(log, kept=kept_calls)
        self.app = SimulatorApp(behaviour, mock=mock, record=self.record)
        self._socket = socket.create_server((host, port), backlog=2048)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """What SDKs of Anthropic and Google are given as base URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def openai_url(self) -> str:
        """What OpenAI's SDK is given as base URL."""
        return f"{self.url}/v1"

    @property
    def mock_url(self) -> str:
        """Where answers are echoes of the question."""
        return f"{self.url}/mock"

    def start(self) -> "SimulatorServer":
        """Serve from a new thread; when this returns, calls are answered."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: run_on_uvloop(self.serve(ready.set)),
            name="farthing-simulator",
            daemon=True,
        )
        self._thread.start()
        if not ready.wait(START_SECONDS_MAX):
            raise TimeoutError("the simulator did not start")
        return self

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve in the running loop until stop is called."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        config = uvicorn.Config(
            self.app, http=_ResettingProtocol, ws="none", lifespan="off", log_config=None,
            log_level="critical", access_log=False, server_header=False, date_header=False,
            proxy_headers=False, timeout_keep_alive=3600,
        )  # fmt: skip
        config.load()
        state = ServerState()
        server = await self._loop.create_server(
            lambda: _ResettingProtocol(config=config, server_state=state, app_state={}), sock=self._socket
        )
        ready()
        await self._stop.wait()
        server.close()
        for connection in list(state.connections):
            if isinstance(connection, _ResettingProtocol):
                connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        self._loop = None

    def stop(self) -> None:
        """End serving, from any thread; open calls are cut."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def close(self) -> None:
        """Stop and wait until nothing of the server is left."""
        self.stop()
        if self._thread is not None:
            self._thread.join(START_SECONDS_MAX)
        self._socket.close()
        self.record.close()

    def __enter__(self) -> "SimulatorServer":
        """Start serving."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.close()


def run_on_uvloop(serving: Coroutine[None, None, None]) -> None:
    """Run to the end on a new loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


def start_in_thread(port: int = 0, behaviour: Behaviour | None = None) -> SimulatorServer:
    """Start simulated providers beside a running program; close() ends them."""
    return SimulatorServer(behaviour, port=port).start()
