"""Asks an API what its OpenAPI document allows and what it forbids, with `schemathesis`, and holds each answer to the document.

    openapi_cases.py BASE_URL [--examples N] < DOCUMENT

The document comes on standard input. JUDGE_API_KEY, where it is set, goes as X-API-Key with every request but those that try to
do without. Prints as JSON how many operations and cases there were and exits with 0, or says on stderr what differed and exits
with 1. An operation that was never answered with its key counts as a fault: nothing of it would have been seen.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile


class Deviation(Exception):
    """An answer is not as the document has it, or something was not asked."""


def run(document, arguments, folder):
    (folder / "document.json").write_text(document)
    command = [sys.executable, "-B", "-m", "schemathesis.cli", "run", "document.json"]
    command += ["--url", arguments.base_url, "--max-examples", str(arguments.examples), "--generation-deterministic"]
    # An answer that takes longer than this is no answer.
    command += ["--request-timeout", "10", "--checks", "all", "--no-color"]
    command += ["--report", "json", "--report-json-path", "report.json"]
    if key := os.environ.get("JUDGE_API_KEY"):
        command += ["--header", f"X-API-Key: {key}"]
    # What it keeps between runs, it keeps in the folder it runs in.
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def judge(document, arguments):
    try:
        wanted = sum("responses" in operation for path in json.loads(document)["paths"].values() for operation in path.values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Deviation(f"no OpenAPI document: {error!r}") from error
    with tempfile.TemporaryDirectory() as folder:
        ran = run(document, arguments, pathlib.Path(folder))
        try:
            report = json.loads((pathlib.Path(folder) / "report.json").read_text())
        except OSError as error:
            raise Deviation(f"schemathesis made no report: {ran.stdout}{ran.stderr}") from error
    if ran.returncode != 0 or not report["complete"] or report["failures"] or report["errors"]:
        raise Deviation(f"schemathesis exits with {ran.returncode}: {ran.stdout}")
    if report["operations"]["tested"] != wanted:
        raise Deviation(f"{report['operations']['tested']} of {wanted} operations were asked")
    unseen = [f"{what}: {found}" for what, found in report["warnings"].items() if found]
    if unseen:
        raise Deviation(f"not all was seen: {'; '.join(unseen)}")
    return {"operations": wanted, "cases": report["test_cases"]["generated"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url", help="where the API is, such as http://127.0.0.1:9090")
    parser.add_argument("--examples", type=int, default=20, help="made-up requests for each operation, beside those that cover the document")
    arguments = parser.parse_args()
    try:
        print(json.dumps(judge(sys.stdin.read(), arguments)))
    except Deviation as deviation:
        sys.exit(f"openapi_cases: {deviation}")


if __name__ == "__main__":
    main()
