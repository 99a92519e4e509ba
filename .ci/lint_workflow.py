"""Run `snakemake --lint` and fail on any lint that is not accepted below, with its reason."""

import re
import subprocess
import sys

ACCEPTED = {
    # one environment serves all rules: it is made by `make setup` or environment.yml and holds Snakemake itself
    r"Specify a conda environment or container for each rule",
    # common.smk sets these for jobs; the lint is meant for variables that a user must set
    r"Environment variable (PYTHONPATH|AEFLOW_MIRRORS)\b.* used but not asserted",
    # "/".join(...) is taken for an absolute path
    r'Absolute path "/"\.join',
}


def main() -> int:
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True)
    report = done.stdout + done.stderr
    where, lints, left = "", 0, []
    for line in report.splitlines():
        if line.startswith("Lints for "):
            where = line.removeprefix("Lints for ").rstrip(":")
        elif line.startswith("    * "):
            lints += 1
            title = line.strip().removeprefix("* ").rstrip(":")
            if not any(re.match(pattern, title) for pattern in ACCEPTED):
                left.append(f"{where}: {title}")
    if left or (done.returncode and not lints):  # no lint, but not 0: the workflow could not even be read
        print("\n".join(left) or report, file=sys.stderr)
        return 1
    print(f"snakemake --lint: {lints} lints, all of kinds that are accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
