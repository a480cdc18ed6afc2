"""Tells what model this is; with ``--check`` proves that it predicts here as it did where it was built."""

from __future__ import annotations

import argparse
import json
import sys

from .model import ContentError, load


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("--check", action="store_true", help="predict the golden rows; ends with 1 if one differs")
    options = parser.parse_args(arguments)
    try:
        model = load()
    except ContentError as error:
        sys.stderr.write(f"{__package__}: {error}\n")
        return 1
    if not options.check:
        names = ("name", "version", "run_id", "data_revision", "model_digest", "digest", "task", "threshold")
        told = {name: getattr(model, name) for name in names}
        told["features"] = {feature.name: feature.kind for feature in model.features}
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return 0
    checked = model.check()
    verdict = "agree" if checked.agrees else "do NOT agree"
    sys.stdout.write(
        f"{model.name} version {model.version}: {checked.rows} golden rows {verdict}, greatest difference "
        f"{checked.greatest_difference:.3g}; content {model.digest}\n"
    )
    return 0 if checked.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
