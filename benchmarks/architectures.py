"""The index by which a file of weights is recognised: a signature of every architecture.

    python benchmarks/architectures.py

Builds each architecture that the installed zoos have weights for on the meta device (several
minutes; the few that cannot be built there without numbers are left out and named) and writes
featx/backbones/architectures.json. To be run again where timm or torchvision is raised.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from unittest import mock

from measuring import asked, keep, left_out

from featx.backbones import SOURCES
from featx.backbones import _building as building
from featx.backbones._recognising import INDEX, signature


def main() -> None:
    """Sketch every architecture and write the index."""
    options = asked(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    names = [f"{s}:{name.partition('.')[0]}" for s in SOURCES.names() for name in _names(s)]
    names = list(dict.fromkeys(names))
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names[:40] if options.quick else names:
        try:
            heads, mark = sketched(name)
        except Exception as error:  # whatever keeps a network from being built
            left_out(name, str(error).splitlines()[0] if str(error) else type(error).__name__)
            continue
        found[heads][mark].append(name)
    keep(INDEX, found, quick=options.quick)
    print(f"{sum(len(marks) for marks in found.values())} signatures of {len(names)} architectures")


def _names(source: str) -> list[str]:
    """Names of a source; what a package holds under other names than the network's is left out."""
    plugin = SOURCES.get(source)
    names: list[str] = plugin.names()
    return [n for n in names if plugin.info(n).origin.startswith("featx/") or source != "featx"]


def sketched(name: str) -> tuple[str, str]:
    """Heads and signature of an architecture."""
    source, _, rest = name.partition(":")

    def refuse(_construct: object) -> None:
        raise RuntimeError("it cannot be built on the meta device")

    with mock.patch.object(building, "random_network", refuse):
        network = SOURCES.get(source).sketch(rest)
    shapes = {key: tensor.shape for key, tensor in network.module.state_dict().items()}
    return " ".join(network.heads), signature(shapes, network.heads)


if __name__ == "__main__":
    main()
