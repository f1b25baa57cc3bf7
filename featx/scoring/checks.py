"""What of a scoring is unusual: shares of new images held against those of training images.

A model keeps how often its training images were abstained from and flagged while they were held
out. Of new images like them as many can be expected, but for chance; far above is what chance would
give in one scoring of a thousand, and at least twice as often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.artifact import Model
from featx.artifact.trust import Trust, Usual
from featx.config.alarms import parse_alarms
from featx.console import counted
from featx.errors import AlarmError, UsageError
from featx.numbers import p_compared, percent
from featx.types import BoolArray, IntArray

DRIFTED = 0.05  # p-value of either test, adjusted for both
RARE = 0.001  # p-value, and
TIMES = 2  # so many times the usual share: what is far above it
#: The finding, what is usual for the training images, and what to think of more.
WORDS = {
    "quarantined": ("{} cannot be read", "of the training images {}", "look at their reasons"),
    "abstained": (
        "The model abstains on {}",
        "on held-out training images {}",
        "it is unsure of them",
    ),
    "ood": (
        "{} are out of distribution",
        "of held-out training images {}",
        "they are not like the training images, and what is predicted for them means little",
    ),
}


@dataclass(frozen=True)
class Check:
    """How many images something is true of, and how many are usual.

    Parameters
    ----------
    name : {"quarantined", "abstained", "ood"}
    images, of : int
    usual : float or None
        Share of training images; None where the model does not keep it.
    p : float or None
        How often chance alone gives so many or more (Fisher's exact test, one-sided; copies, and
        images of a group that is known, count as one).
    """

    name: str
    images: int
    of: int
    usual: float | None = None
    p: float | None = None

    @property
    def share(self) -> float | None:
        """Of the images; None where there are none."""
        return self.images / self.of if self.of else None

    @property
    def far(self) -> bool:
        """Whether the share is far above the usual one."""
        if self.usual is None or self.p is None or self.share is None:
            return False
        return self.p <= RARE and self.share >= TIMES * self.usual

    def sentence(self) -> str:
        """Such as "40 of 40 images are out of distribution (100 %; of training images 1 %)."."""
        found, whose, _ = WORDS[self.name]
        usual = "" if self.usual is None else f"; {whose.format(percent(self.usual))}"
        images = f"{self.images:,} of {counted(self.of, self._noun)}"
        return f"{found.format(images)} ({percent(self.share)}{usual})."

    def warning(self) -> str:
        """What to think of a share that is far above the usual one."""
        found, whose, meaning = WORDS[self.name]
        images = f"{percent(self.share)} of the {self._noun}s"
        usual = whose.format(percent(self.usual))
        return f"{found.format(images)}, {usual} (p {p_compared(self.p or 0.0)}): {meaning}."

    @property
    def _noun(self) -> str:
        return "file" if self.name == "quarantined" else "image"

    def document(self) -> dict[str, Any]:
        """The check as JSON."""
        return {
            "images": self.images,
            "of": self.of,
            "share": self.share,
            "usual": self.usual,
            "p": self.p,
            "far_above": self.far,
        }


def drift_found(drift: Mapping[str, Any]) -> str:
    """What has drifted: how images look, or only how often classes are predicted."""
    if drift["embeddings"]["p_adjusted"] <= DRIFTED:
        return "the images have drifted from the training images"
    return "classes are predicted in other shares than for the training images"


def drift_sentence(drift: Mapping[str, Any] | None, why_not: str) -> str:
    """Whether the images are like the training images, in a sentence.

    Parameters
    ----------
    drift : mapping or None
        See `featx.scoring.drift.Drifted.document`.
    why_not : str
        Why it could not be tested.
    """
    if drift is None:
        return f"Drift: not tested. {why_not}".rstrip()
    places, classes = (
        p_compared(drift[part]["p_adjusted"]) for part in ("embeddings", "predicted_classes")
    )
    if not drift["drift"]:
        return f"Drift: none found (embeddings p {places}, predicted classes p {classes})."
    return (
        f"Drift: these images differ from the training images (embeddings p {places}, predicted "
        f"classes p {classes})."
    )


def checks_of(
    model: Model,
    flags: Mapping[str, BoolArray | None],
    blocks: IntArray,
    *,
    n_rows: int,
    n_unread: int,
    only_counted: Sequence[str] = (),
) -> tuple[Check, ...]:
    """Every check that can be made.

    Parameters
    ----------
    model : Model
    flags : mapping of str to ndarray of shape (n_read,), bool, or None
        ``abstained`` and ``ood`` of the images that were read; None where the model knows nothing
        of it.
    blocks : ndarray of shape (n_read,), int64
        Images with the same number belong together.
    n_rows, n_unread : int
        Files, and those of them that could not be read.
    only_counted : sequence of str
        Flags that were not made as those of the training images were.
    """
    usual = (model.trust or Trust()).usual
    found = [_quarantined(model, n_rows, n_unread)]
    for name, flagged in flags.items():
        if flagged is not None:
            found.append(_check(name, flagged, blocks, None if name in only_counted else usual))
    return tuple(found)


def _quarantined(model: Model, n_rows: int, n_unread: int) -> Check:
    n_read, n_failed = (model.provenance.get(key) for key in ("n_images", "n_quarantined"))
    if not (isinstance(n_read, int) and isinstance(n_failed, int) and n_read > 0 <= n_failed):
        return Check("quarantined", n_unread, n_rows)
    n = n_read + n_failed
    return Check(
        "quarantined", n_unread, n_rows, n_failed / n, chance(n_unread, n_rows, n_failed, n)
    )


def _check(name: str, flagged: BoolArray, blocks: IntArray, usual: Usual | None) -> Check:
    n, of = int(flagged.sum()), len(flagged)
    if usual is None:
        return Check(name, n, of)
    share = float(getattr(usual, name))
    if not of:
        return Check(name, n, of, share)
    sizes = np.bincount(blocks)
    means = np.bincount(blocks, weights=flagged)[sizes > 0] / sizes[sizes > 0]
    p = chance(round(means.sum()), len(means), round(share * usual.images), usual.images)
    return Check(name, n, of, share, p)


def chance(k: int, n: int, usual_k: int, usual_n: int) -> float:
    """Probability that as many flags or more fall on the new images by chance.

    That is, that ``n`` of ``n + usual_n`` images, drawn at random, hold ``k`` or more of the
    ``k + usual_k`` that are flagged.
    """
    total, hits = n + usual_n, k + usual_k
    most = min(n, hits)
    first = (
        _log_choose(hits, k) + _log_choose(total - hits, n - k) - _log_choose(total, n)
    )  # of just k
    # Each further term from the one before, in logarithms: factorials of thousands overflow.
    x = np.arange(k, most, dtype=np.float64)
    steps = np.log((hits - x) * (n - x)) - np.log((x + 1) * (total - hits - n + x + 1))
    return min(1.0, float(np.exp(first + np.append(0.0, np.cumsum(steps))).sum()))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def check_limits(model: Model, fail_on: str | None) -> None:
    """Refuse, before anything is read, what ``fail_on`` asks for and this model cannot tell.

    Raises
    ------
    UsageError
        The message says what to ask for instead.
    """
    trust = model.trust or Trust()
    for name, limit in ({} if fail_on is None else parse_alarms(fail_on)).items():
        missing = {
            "drift": model.drift is None,
            "ood": model.novelty is None,
            "abstained": trust.sets is None,
        }.get(name, False)
        if missing:
            raise UsageError(
                f"--fail-on {name}: this model cannot tell.",
                hint="Fit it again: models made by this version of featx can.",
            )
        known = "n_quarantined" in model.provenance if name == "quarantined" else trust.usual
        if limit is None and name != "drift" and not known:
            raise UsageError(
                f"--fail-on {name}: this model does not keep what is usual for its training "
                "images.",
                hint=f"Give a share, for instance --fail-on {name}=0.2, or fit the model again.",
            )


def raise_alarms(
    fail_on: str | None, checks: Sequence[Check], drift: Mapping[str, Any] | None
) -> None:
    """Raise where a finding is above its limit.

    Parameters
    ----------
    fail_on : str or None
        As `featx.config.alarms.parse_alarms` reads it.
    checks : sequence of Check
    drift : mapping or None
        See `featx.scoring.drift.Drifted.document`.

    Raises
    ------
    AlarmError
        The message names each.
    """
    limits = {} if fail_on is None else parse_alarms(fail_on)
    raised = []
    for check in checks:
        if check.name not in limits or check.share is None:
            continue
        limit = limits[check.name]
        if check.far if limit is None else check.share > limit:
            above = "" if limit is None else f", and the limit is {percent(limit)}"
            raised.append(f"{check.sentence().rstrip('.')}{above}.")
    if "drift" in limits and drift is not None:
        level = limits["drift"]
        p = min(drift[part]["p_adjusted"] for part in ("embeddings", "predicted_classes"))
        if drift["drift"] if level is None else p <= level:
            raised.append(f"The images have drifted from the training images (p {p_compared(p)}).")
    if raised:
        raise AlarmError(f"--fail-on {fail_on}: {' '.join(raised)}")
