"""Coverage-guided fuzzing: decoding, files, snapshots, and the core from events to incidents.

    python tests/fuzz/run.py --runs 1000000              all targets, one after the other
    python tests/fuzz/run.py --target core --runs 20000  one target
    python tests/fuzz/run.py --target core FILE …        run found cases again

A target's corpus and its findings are under ``build/fuzz``.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

SHARES = {"wire": 0.6, "core": 0.04, "files": 0.16, "snapshots": 0.2}
"""Shares of the cases. A case of the core is a whole market, and costs as much as fifty others."""

MAX_BYTES = {"wire": 16_384, "core": 512, "files": 1_024, "snapshots": 1_024}
SLOW_SECONDS = 20  # a case that takes longer is a finding
MAX_MEGABYTES = 2_048


def fuzz(target: str, runs: int, seed: int, folder: Path, case_files: list[str]) -> None:
    """Run one target in this process. libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["detectors", "service"]):
        from tests.fuzz.mutations import STRUCTURED
        from tests.fuzz.seeds import CORPORA
        from tests.fuzz.targets import TARGETS
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(CORPORA[target]()):
        (corpus / f"seed-{number:03}").write_bytes(data)
    options = [
        f"-max_len={MAX_BYTES[target]}",
        f"-timeout={SLOW_SECONDS}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    options += case_files or [f"-runs={runs}", f"-seed={seed}", str(corpus)]
    structured = STRUCTURED.get(target)

    def mutate(data: bytes, max_bytes: int, choice: int) -> bytes:
        rng = Random(choice)
        if structured is None or rng.random() < 0.3:
            return bytes(atheris.Mutate(data, max_bytes))
        return structured(data, rng)[:max_bytes]

    atheris.Setup([sys.argv[0], *options], TARGETS[target], custom_mutator=mutate)
    atheris.Fuzz()


def fuzz_all(runs: int, seed: int, folder: Path) -> int:
    """Run every target in a separate process; return the exit status."""
    failed = False
    total = 0
    for target, share in SHARES.items():
        began = time.monotonic()
        command = [sys.executable, __file__, f"--target={target}", f"--runs={round(runs * share)}"]
        command += [f"--seed={seed}", f"--folder={folder}"]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        cases = int(executed[1]) if executed else 0
        total += cases
        corpus = sum(1 for _ in (folder / target / "corpus").iterdir())
        print(  # noqa: T201 - a program
            f"{target:10} {cases:>10,} cases  {time.monotonic() - began:>8,.0f} s  "
            f"corpus {corpus:>6,}  {'ok' if done.returncode == 0 else 'FAILED'}",
            flush=True,
        )
        if done.returncode != 0:
            failed = True
            print(done.stderr[-6_000:], flush=True)  # noqa: T201
    print(f"{'all':10} {total:>10,} cases")  # noqa: T201
    return int(failed)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1_000_000, help="cases (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the mutations (%(default)s)")
    parser.add_argument("--target", choices=SHARES, help="run only this target")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("found", nargs="*", help="files with cases to run again")
    arguments = parser.parse_args()
    if arguments.target is None:
        sys.exit(fuzz_all(arguments.runs, arguments.seed, arguments.folder))
    folder = arguments.folder / arguments.target
    fuzz(arguments.target, arguments.runs, arguments.seed, folder, arguments.found)


if __name__ == "__main__":
    main()
