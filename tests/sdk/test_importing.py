"""What importing and wrapping do: little, and nothing that anybody could notice."""

import subprocess
import sys

SILENT = """
import sys, threading, socket, builtins
import openai
before = set(sys.modules)
from farthing import Fence, BudgetExceeded, guard
client = guard(openai.OpenAI(api_key="any"), budget=1, workflow_id="x", policy="no-such-file.yaml")
Fence(budget=1, period="daily")
loaded = set(sys.modules) - before
slow = ("ruamel", "sqlite3", "farthing.ledger.sqlite", "farthing.config.load")
heavy = {name for name in loaded if name.startswith(slow)}
assert not heavy, heavy
assert threading.active_count() == 1
"""
TIMED = """
import time
import openai
start = time.process_time()
from farthing import Fence, BudgetExceeded, guard
print(time.process_time() - start)
"""


def run(program: str) -> str:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_wrapping_a_client_opens_no_file_and_starts_no_thread() -> None:
    run(SILENT)


def test_importing_takes_less_than_150_ms() -> None:
    assert min(float(run(TIMED)) for _ in range(5)) < 0.150
