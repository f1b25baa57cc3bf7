"""Labels of new images that are no class of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from featx.console import counted, first_few
from featx.errors import UsageError
from featx.files import printable
from featx.shell import shell_line

SHORT = 5  # characters of a name in which one mistake is likely, and two are not
MOST_NAMED = 8


def name_new_classes(
    labels: Iterable[str], classes: Sequence[str], allowed: Collection[str]
) -> dict[str, int]:
    """Labels that are no class of the model, with the number of their images; most frequent first.

    Parameters
    ----------
    labels : iterable of str
        That persons gave.
    classes : sequence of str
        Of the model.
    allowed : collection of str
        Names of ``--new-class``: these are classes however they are spelled.

    Raises
    ------
    UsageError
        A label is spelled almost as a class of the model, or a name of ``--new-class`` is no label.
    """
    counts = Counter(label for label in labels if label not in set(classes))
    for label in counts:
        guess = next((name for name in classes if _misspelt(_folded(label), _folded(name))), None)
        if guess is not None and label not in allowed:
            flag = shell_line("--new-class", printable(label))
            raise UsageError(
                f"The label '{printable(label)}' ({counted(counts[label], 'image')}) is no class "
                f"of the model. Did you mean '{printable(guess)}'?",
                hint=f"Correct the label, or if it is a class of its own, add {flag}",
            )
    for name in allowed:
        if name not in counts and name not in classes:
            raise UsageError(
                f"--new-class '{printable(name)}': no image is labelled so.",
                hint=f"Other labels that are no class of the model: "
                f"{first_few([printable(label) for label in counts], MOST_NAMED) or 'none'}.",
            )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def new_classes_sentence(found: dict[str, int]) -> str:
    """What was labelled that the model does not know."""
    named = [f"'{printable(name)}' ({counted(n, 'image')})" for name, n in found.items()]
    one = len(found) == 1
    return (
        f"{'A label is' if one else f'{len(found)} labels are'} no class of the model and counted "
        f"as {'a class' if one else 'classes'} of {'its' if one else 'their'} own: "
        f"{first_few(named, MOST_NAMED)}."
    )


def _misspelt(text: str, name: str) -> bool:
    """Whether a text is a name with one mistake, or with two in a longer name."""
    longer = max(len(text), len(name))
    return _within(text, name, min(1 if longer <= SHORT else 2, longer - 1))


def _within(a: str, b: str, mistakes: int) -> bool:
    """Whether so few mistakes make ``b`` of ``a``.

    A mistake is a character too many, too few, another one, or two that changed places (optimal
    string alignment: Damerau, Communications of the ACM 7, 1964).
    """
    if a == b or mistakes < 1:
        return a == b and mistakes >= 0
    shorter = min(len(a), len(b))
    same = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    a, b = a[same:], b[same:]
    swapped = len(a) > 1 and a[:2] == b[1::-1]
    rests = [(a[1:], b), (a, b[1:]), (a[1:], b[1:]), *([(a[2:], b[2:])] if swapped else [])]
    return any(_within(*rest, mistakes - 1) for rest in rests)


def _folded(name: str) -> str:
    """A name without what is easily mistyped: case, and spaces for underscores."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
