"""A compiled model as the files that ``runtime`` reads: arrays, what they mean, and rows to check them by."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from include.packaging.runtime.columns import Code
from include.packaging.runtime.links import Exponential, Isotonic, Logistic
from include.packaging.runtime.model import ARRAYS, CARD, FORMAT, GOLDEN, MANIFEST, MODEL, Constant, Linear, digest_of
from include.registry.predictor import Predictor
from include.serving.compiled.calibration import Sigmoid
from include.serving.compiled.columns import Program, Reader
from include.serving.compiled.compile import Compiled, Part
from include.serving.compiled.kernels import Code as Compiling
from include.serving.compiled.trees import Trees

Arrays = dict[str, NDArray[Any]]
Golden = tuple[Sequence[Mapping[str, Any]], Sequence[float]]

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file knows
MAPS: Mapping[Any, Logistic | Exponential] = {expit: Logistic(), np.exp: Exponential()}
LINKS: Mapping[str, Logistic | Exponential] = {  # of scikit-learn, whose inverse is a method
    "LogitLink": Logistic(),
    "HalfLogitLink": Logistic(slope=2.0),
    "LogLink": Exponential(),
}


class PackagingError(Exception):
    """A version that cannot be packaged; the message says why and what to do."""


def contents_of(predictor: Predictor, compiled: Compiled, golden: Golden, card: bytes | None) -> dict[str, bytes]:
    """The content of a package by file name, the manifest with the digest of all included: equal for equal models."""
    parts: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for at, part in enumerate(compiled.parts):
        described, found = _part(part)
        parts.append(described)
        arrays |= {f"{at}.{name}": array for name, array in found.items()}
    version = predictor.version
    model = {
        "format": FORMAT,
        "name": version.use_case,
        "version": version.version,
        "run_id": version.run_id,
        "data_revision": version.data_revision,
        "model_digest": version.digest,
        "task": predictor.task,
        "threshold": predictor.threshold,
        "features": [asdict(feature) for feature in predictor.features],
        "parts": parts,
    }
    rows, predictions = golden
    columns = {feature.name: [row[feature.name] for row in rows] for feature in predictor.features}
    files = {
        MODEL: _json(model),
        ARRAYS: _npz(arrays),
        GOLDEN: _json({"columns": columns, "predictions": list(predictions)}),
        **({CARD: card} if card is not None else {}),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {**files, MANIFEST: _json({"files": digests, "digest": digest_of(digests)})}


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file whose bytes depend on names and contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            entry.compress_type = compression
            archive.writestr(entry, content)
    return buffer.getvalue()


def _json(content: Any) -> bytes:
    return (json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _npz(arrays: Arrays) -> bytes:
    files = {}
    for name, array in sorted(arrays.items()):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    return zipped(files, zipfile.ZIP_STORED)


def _part(part: Part) -> tuple[dict[str, Any], Arrays]:
    score, found = _score(part.score)
    link, steps = _link(part.inverse)
    described = {
        "texts": [_texts(reader) for reader in part.program.readers],
        "refusing": [op.who for column in part.program.columns for op in column.ops],
        "score": score,
        "link": link,
        "direct": part.direct,
    }
    return described, {**_program(part.program), **found, **steps}


def _texts(reader: Reader) -> dict[str, Any] | None:
    if reader.codes is None:
        return None
    return {
        "known": list(reader.codes),
        "codes": [_code(code) for code in reader.codes.values()],
        "unknown": _code(reader.unknown),
        "who": reader.who,
    }


def _code(code: float | None) -> float | str | None:
    return "nan" if code is not None and math.isnan(code) else code


def _program(program: Program) -> Arrays:
    layout, ops = program.layout, program.ops
    codes = {int(each): int(Code[each.name]) for each in Compiling}
    return {
        "program.source": layout["source"].astype(np.int64),
        "program.start": layout["start"].astype(np.int64),
        "program.stop": layout["stop"].astype(np.int64),
        "program.code": np.array([codes[int(code)] for code in ops["code"]], dtype=np.int64),
        "program.a": ops["a"].astype(np.float64),
        "program.b": ops["b"].astype(np.float64),
        "program.tables": program.tables,
    }


def _score(score: Trees | Linear | Constant) -> tuple[dict[str, Any], Arrays]:
    if isinstance(score, Linear):
        return {"kind": "linear", "intercept": score.intercept}, {"weights": score.weights}
    if isinstance(score, Constant):
        return {"kind": "constant", "value": score.value}, {}
    nodes = score.nodes
    arrays = {
        "number": nodes["number"].astype(np.float64),
        **{name: nodes[name].astype(np.int32) for name in ("feature", "left", "right")},
        **{name: nodes[name] != 0 for name in ("categorical", "missing_left")},
        "roots": score.roots.astype(np.int64),
        "goes_left": score.left,
    }
    described = {"kind": "trees", "base": score.base, "divisor": score.divisor}
    return described, {f"trees.{name}": array for name, array in arrays.items()}


def _link(inverse: Any) -> tuple[dict[str, Any] | None, Arrays]:
    """What stands behind the score; ``PackagingError`` for what ``runtime.links`` does not have."""
    if inverse is None:
        return None, {}
    if isinstance(inverse, Isotonic):
        return {"kind": "isotonic"}, {"link.at": inverse.at, "link.steps": inverse.steps}
    if isinstance(inverse, Sigmoid):
        found: Logistic | Exponential | None = Logistic(-inverse.slope, -inverse.intercept)
    elif isinstance(inverse, MethodType):
        found = LINKS.get(type(inverse.__self__).__name__)
    else:
        found = MAPS.get(inverse)
    if found is None:
        raise PackagingError(f"{inverse!r}: the package has no such map from scores to predictions")
    return {"kind": type(found).__name__.lower(), **asdict(found)}, {}
