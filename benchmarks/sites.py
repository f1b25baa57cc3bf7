"""Does the interval for the next site hold? Simulated sites, 4, 8 and 30 of them.

    python benchmarks/sites.py [--quick]

The accuracy of a site is drawn around 0.8 with a given spread between sites, its images are drawn
from it, and the interval from all sites is held against the accuracy measured at one more site
(``measured``) and against its true accuracy (``true``). Beside Student's prediction interval,
which featx prints, stands that of a random-effects meta-analysis (DerSimonian and Laird's variance
between sites; Higgins, Thompson and Spiegelhalter 2009).

Writes benchmarks/results/sites.json and prints a Markdown table. With --quick few repetitions, and
nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from featx.stats.sites import LEVEL, next_site

RESULTS = Path(__file__).parent / "results" / "sites.json"
SITES = (4, 8, 30)
SPREADS = (0.0, 0.02, 0.05, 0.1)
IMAGES = {"40": (40, 40), "200": (200, 200), "20 to 400": (20, 400)}
MEAN = 0.8
LOW, HIGH = 0.88, 0.95  # what the coverage is to be, at a nominal 90 %
NOISE = 0.005  # of a coverage from this many repetitions


def random_effects(scores: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """The interval of Higgins, Thompson and Spiegelhalter, section 3.2."""
    k, share = len(scores), np.clip(scores, 1 / (2 * n), 1 - 1 / (2 * n))
    within = share * (1 - share) / n
    weights = 1 / within
    mean = (weights * scores).sum() / weights.sum()
    spread = (weights * (scores - mean) ** 2).sum() - (k - 1)
    between = max(0.0, spread / (weights.sum() - (weights**2).sum() / weights.sum()))
    weights = 1 / (within + between)
    mean = (weights * scores).sum() / weights.sum()
    half = student.ppf((1 + LEVEL) / 2, k - 2) * np.sqrt(between + 1 / weights.sum())
    return mean - half, mean + half


def simulate(k: int, spread: float, images: tuple[int, int], repeats: int) -> dict:
    """Coverage of both intervals."""
    rng = np.random.default_rng([k, int(1000 * spread), *images])
    hits: dict[str, list[tuple[bool, bool, float]]] = {"student": [], "random_effects": []}
    for _ in range(repeats):
        n = rng.integers(images[0], images[1] + 1, k + 1)
        true = np.clip(MEAN + spread * rng.standard_normal(k + 1), 0.01, 0.99)
        measured = rng.binomial(n, true) / n
        found = next_site(measured[:k].tolist())
        ends = {
            "student": (found["low"], found["high"]),
            "random_effects": random_effects(measured[:k], n[:k]),
        }
        for name, (low, high) in ends.items():
            inside = [bool(low <= x <= high) for x in (measured[k], true[k])]
            hits[name].append((*inside, high - low))
    means = {name: np.mean(np.array(rows, float), axis=0).round(4) for name, rows in hits.items()}
    return {
        name: dict(zip(("measured", "true", "width"), row.tolist(), strict=True))
        for name, row in means.items()
    }


def main() -> int:
    """Simulate, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    repeats = 200 if quick else 4000
    rows = []
    print("| sites | spread | images | Student: measured | true | Higgins: measured | true |")
    print("|---|---|---|---|---|---|---|")
    for k in SITES:
        for spread in SPREADS:
            for name, images in IMAGES.items():
                found = simulate(k, spread, images, repeats)
                rows.append({"sites": k, "spread": spread, "images": name, **found})
                shown = [found[a][b] for a in found for b in ("measured", "true")]
                print(
                    f"| {k} | {spread} | {name} | " + " | ".join(f"{x:.3f}" for x in shown) + " |"
                )
    off = [r for r in rows if not LOW - NOISE <= r["student"]["measured"] <= HIGH + NOISE]
    print(f"\nOutside {LOW} to {HIGH}: {len(off)} of {len(rows)}")
    if quick:
        return 0
    RESULTS.write_text(json.dumps({"level": LEVEL, "repeats": repeats, "rows": rows}, indent=1))
    return int(bool(off))


if __name__ == "__main__":
    sys.exit(main())
