"""What the terms of pages mean, as pages explain them; docs/glossary.md has more."""

from __future__ import annotations

#: Term, as `featx.stats.metrics.metric_name` writes it -> what it means.
GLOSSARY: dict[str, str] = {
    "accuracy": "Share of images that are predicted right. Large classes count most.",
    "balanced accuracy": "Mean recall of the classes: each class counts alike, however many "
    "images it has. Guessing gives 1 / number of classes.",
    "macro F1": "Mean F1 of the classes, each counting alike.",
    "weighted F1": "Mean F1 of the classes, weighted by their images.",
    "Matthews correlation": "Correlation of true and predicted classes: 1 is perfect, 0 is no "
    "better than guessing, also where classes are of unequal size.",
    "Cohen's kappa": "Agreement beyond what the shares of the classes would give by chance: 1 is "
    "perfect, 0 is chance.",
    "top 3 accuracy": "Share of images whose true class is among the three most probable ones.",
    "ROC AUC": "Probability that a random image of a class gets a higher probability of that "
    "class than a random image of another; mean of the classes. 0.5 is guessing.",
    "macro average precision": "Mean average precision of the classes, each counting alike.",
    "average precision": "Area under the precision-recall curve of a class: precision averaged "
    "over all recalls. Guessing gives the share of the class.",
    "log loss": "Mean negative logarithm of the probability of the true class: lower is better, "
    "and confident mistakes cost most.",
    "Brier score": "Mean squared distance of the probabilities from the truth, from 0 (perfect) "
    "to 2.",
    "recall": "Of the images of a class, the share that is predicted as it (sensitivity).",
    "precision": "Of the images predicted as a class, the share that is of it.",
    "F1": "Harmonic mean of precision and recall: high only if both are.",
    "specificity": "Of the images of all other classes, the share that is not predicted as the "
    "class.",
    "calibration error": "Mean difference between the probability of the predicted class and how "
    "often it is right, over bins of equally many images.",
    "95 % interval": "Range that holds the true value in 95 of 100 studies like this one. It "
    "covers chance in the images that evaluate, not another camera, place or time.",
    "p": "Probability of a difference at least this large if there were none. Adjusted (Holm) "
    "where several are looked at together.",
    "sd": "Standard deviation over the folds.",
    "nested cross-validation": "Each fold is predicted by a model that was searched and fitted "
    "without it, so that the selection cannot make the estimate too high.",
    "Pareto-optimal": "No other run is at least as good for less, or better for as little.",
    "confidence": "The model's probability of the class that it predicts.",
}
_BY_NAME = {term.lower(): meaning for term, meaning in GLOSSARY.items()}


def explained(term: str) -> str:
    """What a term means; empty where the glossary does not have it."""
    term = term.removesuffix(" (the number to read)")
    return _BY_NAME.get(term.strip().lower().replace("roc-auc", "roc auc"), "")
