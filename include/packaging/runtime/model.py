"""The model of this package: read once, verified first."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .columns import Program, Refused, Texts
from .inputs import Column, Feature, InputError, Rows, read
from .links import Link, Vector, read_link
from .trees import Matrix, Nodes, Trees

FORMAT = 1
MODEL, ARRAYS, GOLDEN, CARD, MANIFEST = "model.json", "arrays.npz", "golden.json", "card.html", "manifest.json"
TOLERANCE = 1e-9  # absolute and relative


class ContentError(Exception):
    """The package's content is not what was built; the message names the file and the cure."""


class Folder(Protocol):
    """Where the content is: a path, or what ``importlib.resources`` gives for a package."""

    def joinpath(self, name: str, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Linear:
    weights: Vector
    intercept: float

    def __call__(self, matrix: Matrix) -> Vector:
        return np.asarray(matrix @ self.weights + self.intercept)


@dataclass(frozen=True)
class Constant:
    value: float

    def __call__(self, matrix: Matrix) -> Vector:
        return np.full(len(matrix), self.value)


@dataclass(frozen=True, eq=False)
class Part:
    """One model of a mean: how it reads rows, scores them, and maps the scores."""

    texts: tuple[Texts | None, ...]  # by feature; None for a number
    program: Program
    score: Trees | Linear | Constant
    link: Link | None
    direct: bool  # trees that find what was read where it was read, without operations between

    def predict(self, columns: list[Column], rows: int) -> Vector:
        """``Refused`` names the first value that the part does not take."""
        values = np.empty((rows, len(columns)))
        for at, (texts, column) in enumerate(zip(self.texts, columns, strict=True)):
            values[:, at] = texts.read(at, column) if texts and isinstance(column, list) else column
        score = self.score(values if self.direct else self.program.encode(values))
        return score if self.link is None else self.link(score)


@dataclass(frozen=True)
class Checked:
    """Whether the golden rows are predicted as they were by the model that the package was built from."""

    rows: int
    greatest_difference: float  # relative where predictions are larger than 1
    agrees: bool


@dataclass(frozen=True, eq=False)
class Model:
    """One version of a model; threads may share it. ``load`` makes one."""

    name: str
    version: int
    run_id: str
    data_revision: str
    model_digest: str  # of the registered model's file
    digest: str  # of this package's content
    task: str
    threshold: float | None  # the probability from which a classification says yes
    features: tuple[Feature, ...]
    card: str | None  # the model card as HTML
    parts: tuple[Part, ...]  # the prediction is their mean
    golden: bytes  # JSON: columns of rows, and what is expected for them

    def predict(self, rows: Rows) -> Vector:
        """The probability of the positive class, or the value, for each row: (rows,).

        ``rows`` is a sequence of mappings, a mapping of columns, or a structured array, with each of ``features`` and
        nothing else. None and NaN are missing. ``InputError`` names the fields that are wrong.
        """
        columns = read(rows, self.features)
        count = len(columns[0])
        try:
            found = [part.predict(columns, count) for part in self.parts]
        except Refused as error:
            name = self.features[error.feature].name
            raise InputError([(f"rows[{error.row}].{name}", error.reason)]) from error
        return found[0] if len(found) == 1 else np.asarray(sum(found) / len(found))

    def check(self) -> Checked:
        """Predict the golden rows and compare."""
        golden = json.loads(self.golden)
        expected = np.array(golden["predictions"], dtype=np.float64)
        apart = np.abs(self.predict(golden["columns"]) - expected) / np.maximum(1.0, np.abs(expected))
        greatest = float(apart.max())
        return Checked(len(expected), greatest, greatest <= TOLERANCE)  # NaN is not


def load(folder: Folder | None = None) -> Model:
    """The model of this package, or of another folder with such content. ``ContentError`` if a byte of it changed."""
    contents, digest = _verified(files(__package__) if folder is None else folder)
    described = json.loads(contents[MODEL])
    if described["format"] != FORMAT:
        raise ContentError(f"{MODEL}: format {described['format']}, this runtime reads {FORMAT}: build it anew")
    with np.load(io.BytesIO(contents[ARRAYS]), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    features = tuple(Feature(**each) for each in described["features"])
    identity = ("name", "version", "run_id", "data_revision", "model_digest", "task", "threshold")
    return Model(
        **{name: described[name] for name in identity},
        digest=digest,
        features=features,
        card=contents[CARD].decode() if CARD in contents else None,
        parts=tuple(_part(each, _within(f"{at}.", arrays)) for at, each in enumerate(described["parts"])),
        golden=contents[GOLDEN],
    )


def digest_of(digests: dict[str, str]) -> str:
    """The digest of a content from those of its files by name."""
    return hashlib.sha256("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()).hexdigest()


def _verified(folder: Folder) -> tuple[dict[str, bytes], str]:
    """The files of the content by name, and its digest."""
    cure = "install the package again"
    try:
        manifest = json.loads(folder.joinpath(MANIFEST).read_bytes())
        digests: dict[str, str] = manifest["files"]
        contents = {name: bytes(folder.joinpath(name).read_bytes()) for name in sorted(digests)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContentError(f"{MANIFEST}: the content cannot be read: {error!r}; {cure}") from error
    for name, content in contents.items():
        if (found := hashlib.sha256(content).hexdigest()) != digests[name]:
            raise ContentError(f"{name}: sha256 {found} is not {digests[name]}, that of what was built; {cure}")
    if digest_of(digests) != manifest.get("digest") or not {MODEL, ARRAYS, GOLDEN} <= contents.keys():
        raise ContentError(f"{MANIFEST}: is not the one that was built; {cure}")
    return contents, str(manifest["digest"])


def _within(prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _part(described: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Part:
    score = described["score"]
    scores: Trees | Linear | Constant
    if score["kind"] == "trees":
        scores = Trees(Nodes.read(arrays), score["base"], score["divisor"])
    elif score["kind"] == "linear":
        scores = Linear(arrays["weights"], score["intercept"])
    else:
        scores = Constant(score["value"])
    return Part(
        tuple(_texts(each) for each in described["texts"]),
        Program.read(described["refusing"], arrays),
        scores,
        read_link(described["link"], arrays),
        described["direct"],
    )


def _texts(described: dict[str, Any] | None) -> Texts | None:
    if described is None:
        return None
    codes: dict[str | None, float | None] = dict(zip(described["known"], described["codes"], strict=True))
    return Texts({key: _code(code) for key, code in codes.items()}, _code(described["unknown"]), described["who"])


def _code(found: float | str | None) -> float | None:
    """JSON has no NaN: a code that is missing is written as text."""
    return float(found) if found is not None else None
