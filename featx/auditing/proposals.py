"""What is proposed to be kept together, how sure that is, and what it does to the estimate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from featx import console
from featx.data.name_groups import OWNERS, Suggestion
from featx.stats.closeness import Closeness
from featx.types import IntArray

STRONG = 0.1  # how much closer images of one group are, of the distance of the others


@dataclass(frozen=True)
class Proposal:
    """A suggestion and what the embeddings say to it.

    Parameters
    ----------
    suggestion : Suggestion
    close : Closeness or None
        None where it was not tested.
    trouble : str or None
        Why it is not proposed.
    effect : dict or None
        Balanced accuracy with and without the groups kept together, and the difference.
    """

    suggestion: Suggestion
    close: Closeness | None
    trouble: str | None
    effect: dict[str, Any] | None = None

    @property
    def sure(self) -> str:
        """How sure: strong or likely; none where it is not proposed."""
        if self.trouble is not None:
            return "none"
        of, close = self.suggestion, self.close
        sound = of.explicit if close is None else close.gap >= STRONG or of.word in OWNERS
        return "strong" if sound else "likely"

    @property
    def sentence(self) -> str:
        """What it is and how sure, as one sentence."""
        of = self.suggestion
        sizes = of.sizes
        least, most = (int(sizes[-1]), int(sizes[0])) if len(sizes) else (1, 1)
        spread = f"{least:,} to {most:,} images each" if least < most else f"{most:,} images each"
        close = self.close
        why = (
            f"Images of one group are closer than others of their class: mean cosine "
            f"{close.within:.2f} against {close.across:.2f}, p = {close.p:.2f}."
            if close is not None
            else "Their edges agree everywhere once one picture is laid over the other."
        )
        alone = of.n_groups - len(sizes)
        rest = f", and {console.counted(alone, 'image')} alone" if alone else ""
        groups = console.counted(len(sizes), "group")
        return f"{groups} by {of.wording} ({spread}{rest}; evidence: {self.sure}). {why}"


@dataclass(frozen=True)
class FoundGroups:
    """What was suggested, and what of it to keep together.

    Parameters
    ----------
    proposals : list of Proposal
        The chosen ones first.
    chosen : Proposal or None
        The best of names, folders, moments and sequences.
    pictures : Proposal or None
        Of near copies.
    codes : ndarray of shape (n,), int64
        Both joined; an image without a group is alone.
    """

    proposals: list[Proposal]
    chosen: Proposal | None
    pictures: Proposal | None
    codes: IntArray

    @property
    def taken(self) -> list[Proposal]:
        """What `codes` joins."""
        return [each for each in (self.chosen, self.pictures) if each is not None]

    def document(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [_document(each, each in self.taken) for each in self.proposals]

    def sentences(self) -> Iterator[str]:
        """What is proposed and what it does; names that are as good as proposed but are not."""
        for each in self.taken:
            yield f"Groups found: {each.sentence}"
            if each.effect is not None:
                yield each.effect["sentence"]
        named = [each for each in self.proposals if each.trouble and "follows" in each.trouble]
        if self.chosen is None and named:
            of = named[0]
            yield f"Groups by {of.suggestion.wording} are not proposed: {of.trouble}."


def _document(each: Proposal, taken: bool) -> dict[str, Any]:
    of, close = each.suggestion, each.close
    return {
        "rule": of.rule,
        "said": of.wording,
        "family": of.family,
        "group_from": of.group_from,
        "groups": len(of.sizes),
        "images": int(of.sizes.sum()),
        "largest": int(of.sizes[0]) if len(of.sizes) else 1,
        "sure": each.sure,
        "taken": taken,
        "trouble": each.trouble,
        "closeness": None
        if close is None
        else {"within": close.within, "across": close.across, "p": close.p, "gap": close.gap},
        "effect": each.effect,
    }
