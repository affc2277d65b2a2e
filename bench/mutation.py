"""The shipped rules' tests against mistakes in the rules, beside the tests alone.

Both run as ``cds-service test`` runs them, in this process, on one core.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

from cds_service.cli import main as command

from .content import SHIPPED

ROUNDS = 3


def main() -> None:
    """Print the time of the plain tests, of those with mistakes, and their ratio."""
    plain = [measure(lambda: run("test", str(SHIPPED))) for _ in range(ROUNDS)]
    said = StringIO()
    mutated = [
        measure(lambda: said.write(run("test", str(SHIPPED), "--mutate")))
        for _ in range(ROUNDS)
    ]
    for name, times in (("plain tests", plain), ("with --mutate", mutated)):
        wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
        print(f"{name:14} {wall:6.2f} s   CPU {cpu:6.2f} s")
    ratio = median_cpu(mutated) / median_cpu(plain)
    print(f"{'ratio of CPU':14} {ratio:6.1f}")
    print(said.getvalue().splitlines()[-1])


def run(*words: str) -> str:
    """What a verb prints.

    Raises:
        SystemExit: if it did not end well.
    """
    with redirect_stdout(StringIO()) as said:
        code = command(words, standalone_mode=False)
    if code:
        raise SystemExit(said.getvalue())
    return said.getvalue()


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def median_cpu(times: list[tuple[float, float]]) -> float:
    """The median of the seconds of CPU."""
    return statistics.median(cpu for _, cpu in times)


if __name__ == "__main__":
    main()
