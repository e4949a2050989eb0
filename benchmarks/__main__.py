"""Run every benchmark, one after the other: python -m benchmarks."""

import subprocess
import sys

QUESTIONS = ("gateway", "ledger_pairs", "upstream_clients", "guard_cost", "cache", "policy_size", "reports")

for question in QUESTIONS:
    print(f"\n── {question} " + "─" * (70 - len(question)), flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{question}"], check=True)
