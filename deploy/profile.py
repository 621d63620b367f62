#!/usr/bin/env python3
"""Makes a profile of the guard at work, for the compiler to optimise by.

Builds the guard with counters in it, lets it serve the workloads of benches/compare, and merges
what it counted:

    deploy/profile.py
    RUSTFLAGS="-Cprofile-use=$PWD/target/profile/orgguard.profdata" cargo build --release \\
        --target "$(rustc --print host-tuple)"

What is optimised so does the same; docs/performance.md has by how much it is faster. Arguments go
to cargo, and must be those of the build that is to use the profile (`--features postgres-grammar`).

Needs what benches/compare/compare.py needs but for PgBouncer (Debian: postgresql), and
llvm-profdata: `rustup component add llvm-tools`, or one in PATH that can read what this compiler
writes.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLACE = ROOT / "target" / "profile"
COUNTS = PLACE / "counts"
PROFILE = PLACE / "orgguard.profdata"

# Options of compare.py: the way of a plain statement. What is counted most is optimised most.
WORK = ("--workloads", "select,join,literals")


def asked(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def mergers():
    """Programs that may be able to merge the counts, the compiler's own first."""
    own = pathlib.Path(asked("rustc", "--print", "target-libdir")).parent / "bin" / "llvm-profdata"
    names = ["llvm-profdata", *(f"llvm-profdata-{version}" for version in range(40, 17, -1))]
    return [path for path in map(shutil.which, (str(own), *names)) if path]


def build(arguments):
    """The guard with counters. A target is named so that build scripts get none; the build that
    uses the profile names it too, as crates have other names without."""
    target = asked("rustc", "--print", "host-tuple")
    flags = f"{os.environ.get('RUSTFLAGS', '')} -Cprofile-generate={COUNTS}"
    command = ["cargo", "build", "--release", "--locked", "--bin", "orgguard"]
    command += ["--target", target, "--target-dir", PLACE / "build", *arguments]
    subprocess.run(command, check=True, cwd=ROOT, env=dict(os.environ, RUSTFLAGS=flags.strip()))
    return PLACE / "build" / target / "release" / "orgguard"


def train(guard):
    compare = [sys.executable, ROOT / "benches" / "compare" / "compare.py", "--guard", guard]
    compare += ["--targets", "guard", "--rounds", "1", "--duration", "1", *WORK]
    subprocess.run(compare, check=True, stdout=subprocess.DEVNULL)


def merge(programs):
    counts = list(COUNTS.glob("*.profraw"))
    if not counts:
        sys.exit("the guard has counted nothing")
    refusals = []
    for program in programs:
        command = [program, "merge", "-o", PROFILE, *counts]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return
        refusals.append(done.stderr.strip())
    sys.exit("\n".join(refusals))


def main():
    found = mergers()
    if not found:
        sys.exit("missing: llvm-profdata (rustup component add llvm-tools)")
    guard = build(sys.argv[1:])
    shutil.rmtree(COUNTS, ignore_errors=True)
    train(guard)
    merge(found)
    print(PROFILE)


if __name__ == "__main__":
    main()
