"""`featx.similar`: the images of a data set that look most like given ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.artifact import Model
from featx.config import DatasetConfig, ExtractConfig, SimilarConfig
from featx.config.keywords import keywords, read_options
from featx.console import counted, first_few
from featx.data.manifest import Manifest, Row
from featx.data.opening import open_data
from featx.errors import UsageError
from featx.extraction import Extraction, require_all, require_any
from featx.extraction.embedding import extract_manifest, extract_with_model
from featx.extraction.used import used_by
from featx.files import printable
from featx.formats import table_output, write_claimed
from featx.formats._frame import to_frame
from featx.numbers import percent
from featx.ours import FileKind, is_table
from featx.outputs import claimed
from featx.runs import Run
from featx.stats.similar import nearest_in
from featx.types import Failure

COLUMNS = ("image", "rank", "path", "similarity", "label")
NEIGHBOURS = FileKind("a table of neighbours", is_table(COLUMNS))
READ_ROWS = 65536  # of the cache at once
COPY = 1 - 1e-5  # a cosine that only files with the same pixels have


@dataclass(frozen=True)
class Neighbour:
    """One image of the data set: its id, the cosine, in [-1, 1], and its label if it has one."""

    id: str
    similarity: float
    label: str | None


@dataclass(frozen=True)
class Query:
    """One image and what is most like it.

    Parameters
    ----------
    image : str
        As it was named.
    neighbours : tuple of Neighbour
        The most similar first.
    labelled : bool
        Whether the data set has labels.
    """

    image: str
    neighbours: tuple[Neighbour, ...]
    labelled: bool

    @property
    def shown(self) -> str:
        """Its name for sentences."""
        return f"'{printable(self.image)}'"

    @property
    def classes(self) -> dict[str, float]:
        """Share of each class among the neighbours that are labelled, the largest first."""
        counts = Counter(n.label for n in self.neighbours if n.label is not None)
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return {name: count / counts.total() for name, count in ordered}

    def sentence(self) -> str:
        """The classes of the neighbours, and how many are copies."""
        parts = []
        if self.classes:
            named = [f"{printable(k)!r} {percent(v, 0)}" for k, v in self.classes.items()]
            parts.append(f"neighbours are {first_few(named, 5)}")
        copies = sum(n.similarity >= COPY for n in self.neighbours)
        if copies:
            parts.append(f"{counted(copies, 'copy', 'is/are')} in the data set")
        return "; ".join(parts) or counted(len(self.neighbours), "neighbour")

    @property
    def columns(self) -> tuple[str, ...]:
        """Of `cells`."""
        return ("rank", "path", "similarity", *(("label",) if self.labelled else ()))

    def cells(self) -> list[list[Any]]:
        """A row for each neighbour, to be printed."""
        return [
            [rank, printable(n.id), f"{n.similarity:.3f}"]
            + ([printable(n.label or "")] if self.labelled else [])
            for rank, n in enumerate(self.neighbours, 1)
        ]


@dataclass(frozen=True)
class Similar:
    """The neighbours of every image that could be read.

    Parameters
    ----------
    queries : tuple of Query
    failures : list of Failure
        Of the images asked about.
    quarantined : list of Failure
        Of the data set.
    n_images : int
        Of the data set, that were compared.
    output : str or None
        File that the rows were written to.
    """

    queries: tuple[Query, ...]
    failures: list[Failure]
    quarantined: list[Failure]
    n_images: int
    output: str | None = None

    @property
    def n_rows(self) -> int:
        """Neighbours of all queries."""
        return sum(len(query.neighbours) for query in self.queries)

    def rows(self) -> Iterator[list[Any]]:
        """One list a neighbour, in the columns of the file."""
        for query in self.queries:
            for rank, n in enumerate(query.neighbours, 1):
                yield [query.image, rank, n.id, n.similarity, n.label]

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of `rows`; needs the extra ``pandas``."""
        return to_frame(list(COLUMNS), self.rows())

    def require_all(self) -> None:
        """Raise `featx.errors.QuarantinedError` where an image could not be read."""
        bad = [*self.failures, *self.quarantined]
        total = len(self.queries) + self.n_images + len(bad)
        require_all(bad, total, hint="featx inspect lists all broken files.")

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "schema_version": 1,
            "images": self.n_images,
            "quarantined": len(self.quarantined),
            "queries": [
                {
                    "image": printable(query.image),
                    "classes": {printable(k): v for k, v in query.classes.items()},
                    "neighbours": [
                        {
                            "path": printable(n.id),
                            "similarity": n.similarity,
                            "label": n.label and printable(n.label),
                        }
                        for n in query.neighbours
                    ],
                }
                for query in self.queries
            ],
            "failures": [
                {"image": printable(f.id), "reason": printable(f.reason)} for f in self.failures
            ],
            "output": self.output,
        }


@keywords(
    DatasetConfig,
    SimilarConfig,
    ExtractConfig,
    leave_out={ExtractConfig: {"views", "augment", "upright"}},
    instead="no views are compared",
)
def similar(
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    dataset: str | os.PathLike[str],
    *,
    model: Model | Run | str | os.PathLike[str] | None = None,
    **options: Any,
) -> Similar:
    """List the images of a data set that look most like given ones, with their labels.

    Parameters
    ----------
    images : path or sequence of path
        Image files.
    dataset : path
        Where to search; see `featx.extract`. What is in the cache is not embedded again.
    model : Model, Run or path, optional
        A model, or what `featx.load_model` takes, whose backbone embeds the images.
    **options

    Returns
    -------
    Similar
        ``queries`` has a `Query` for each image that could be read, with its ``neighbours`` by
        falling cosine of embeddings (exact) and the shares of their ``classes``. The image itself
        is not its own neighbour; other copies of it are.

    Raises
    ------
    UsageError
        An option is invalid, or an image does not exist.
    DatasetError
        The data set fails, or none of the images can be read.
    BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> found = featx.similar("odd.jpg", "photos/", neighbours=5)    # doctest: +SKIP
    >>> found.queries[0].classes                                     # doctest: +SKIP
    {'Monocyte': 0.8, 'Lymphocyte': 0.2}
    """
    given = [images] if isinstance(images, str | os.PathLike) else images
    named = [os.fspath(path) for path in given]
    data, config, extract = read_options(similar, dataset=dataset, **options)
    source = model.folder if isinstance(model, Run) else model
    return find_similar(named, data, config, extract, model=source)


def find_similar(
    images: Sequence[str],
    data: DatasetConfig,
    config: SimilarConfig,
    extract: ExtractConfig,
    *,
    model: Model | str | os.PathLike[str] | None = None,
) -> Similar:
    """`similar` from checked sections."""
    asked = _asked(images)
    model = config.model if model is None else model
    outputs = table_output(config.output, NEIGHBOURS, config.overwrite)
    with claimed(outputs, used_by(data, extract, model=model)) as claims:
        manifest = open_data(data)
        claims.spare("the images", manifest.paths)
        alone = extract.model_copy(update={"limit": None})
        queries = _embedded(asked, model, alone)
        require_any(queries[0].failures, len(asked))
        found = _found(queries, _embedded(manifest, model, extract), config.neighbours)
        if config.output is not None:
            place = write_claimed(claims, config.output, COLUMNS, found.rows())
            found = replace(found, output=place)
    return found


def _asked(images: Sequence[str]) -> Manifest:
    """The images as a data set; each once."""
    for path in images:
        if not os.path.isfile(path):  # noqa: PTH113 - it never raises
            is_folder = os.path.isdir(path)  # noqa: PTH112
            raise UsageError(
                f"'{printable(path)}' is {'a folder' if is_folder else 'not a file'}, but featx "
                "similar takes image files before the data set.",
                hint="featx similar IMAGE [IMAGE ...] FOLDER",
            )
    rows = tuple(Row(id=path, path=os.path.abspath(path)) for path in dict.fromkeys(images))  # noqa: PTH100
    return Manifest(root=os.getcwd(), source=images[0], rows=rows)  # noqa: PTH109


def _embedded(
    manifest: Manifest, model: Model | str | os.PathLike[str] | None, extract: ExtractConfig
) -> list[Extraction]:
    if model is None:
        return extract_manifest(manifest, extract)
    return extract_with_model(manifest, model, extract)


def _found(asked: list[Extraction], searched: list[Extraction], k: int) -> Similar:
    """Neighbours of all images that could be read."""
    first, where = asked[0], searched[0]
    queries = np.hstack([each.X for each in asked])
    ok = np.flatnonzero(where.ok)
    rows = [where.manifest.rows[i] for i in ok]
    place = {os.path.realpath(row.path): i for i, row in enumerate(rows)}
    read = [row for row, fine in zip(first.manifest.rows, first.ok, strict=True) if fine]
    skip = np.array([place.get(os.path.realpath(row.path), -1) for row in read], np.int64)
    k = min(k, len(rows))
    near, cosines = nearest_in(queries, _blocks(searched, ok), k, skip=skip)
    labelled = any(row.label is not None for row in rows)
    found = [
        Query(
            row.id,
            tuple(
                Neighbour(rows[i].id, float(c), rows[i].label)
                for i, c in zip(near[q].tolist(), cosines[q].tolist(), strict=True)
                if i >= 0
            ),
            labelled,
        )
        for q, row in enumerate(read)
    ]
    return Similar(tuple(found), first.failures, where.failures, len(rows))


def _blocks(extractions: list[Extraction], rows: np.ndarray) -> Iterator[np.ndarray]:
    """Embeddings of the rows, as many at once as memory can do with."""
    for start in range(0, len(rows), READ_ROWS):
        some = rows[start : start + READ_ROWS]
        columns = [e.store.gather(e.hashes[some]) for e in extractions]
        yield columns[0] if len(columns) == 1 else np.hstack(columns)
