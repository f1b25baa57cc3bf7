"""A methods paragraph of a run, to be pasted into a paper, with what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from featx.console import counted
from featx.files import printable
from featx.numbers import interval
from featx.reporting.contents import Finished
from featx.reporting.summaries.thresholds import cutoff_text
from featx.reporting.tables import in_force
from featx.stats.metrics import metric_name
from featx.types import SITES

SCIKIT_LEARN = "Pedregosa et al., JMLR 12, 2825-2830, 2011"
TORCH = "Paszke et al., NeurIPS 2019"
NESTED = "Cawley and Talbot, JMLR 11, 2079-2107, 2010"
BOOTSTRAP = "Efron and Tibshirani, An Introduction to the Bootstrap, 1993"
T_TEST = "Nadeau and Bengio, Machine Learning 52, 239-281, 2003"
HOLM = "Holm, Scandinavian Journal of Statistics 6, 65-70, 1979"
CONFORMAL = "Sadinle, Lei and Wasserman, JASA 114, 223-234, 2019"
CALIBRATION = "Guo et al., ICML 2017"
CROSSED = ("nested", "repeated")
MAHALANOBIS = "Lee et al., NeurIPS 2018"


Cite = Callable[[str], str]  # a work to its number


def methods_text(run: Finished) -> str:
    """What was done in a run, in the words of a paper, and the works cited.

    Parameters
    ----------
    run : Finished
    """
    cited: dict[str, int] = {}

    def cite(work: str) -> str:
        return f"[{cited.setdefault(work, len(cited) + 1)}]"

    sentences = (*_data(run), *_model(run, cite), *_estimate(run, cite), *_versions(run, cite))
    works = [f"[{k}] {work}" for work, k in cited.items()]
    return "\n".join([" ".join(sentences), "", *works])


def _data(run: Finished) -> Iterator[str]:
    results, data = run.results, run.results["dataset"]
    of = counted(len(results["classes"]), "class")
    yield f"The data set holds {counted(data['images'], 'image')} of {of}."
    if data["quarantined"]:
        left = counted(data["quarantined"], "file", "was/were")
        yield f"{left} unreadable and left out."
    if changed := (data.get("corrections") or {}).get("changes"):
        yield f"{counted(len(changed), 'manual correction', 'was/were')} applied to it."
    if results.get("n_test_images") and not results.get("evaluation"):
        yield (
            f"{results['n_images']:,} images were used to train and select, and "
            f"{results['n_test_images']:,} to test once."
        )
    groups = results.get("n_groups_in_all") or results.get("n_groups")
    if groups:
        yield f"Images of a group ({groups:,} groups) and exact copies were never split over folds."


def _model(run: Finished, cite: Cite) -> Iterator[str]:
    results, chosen = run.results, run.results["chosen"]
    yield f"Images were embedded by the network {chosen['backbone']},"
    if "finetuning" in results and results["finetuning"]["answer"] == "finetuned":
        recipe = (results["finetuning"].get("tried") or {}).get("recipe")
        yield f"fine-tuned on them{f' ({recipe})' if recipe else ''},"
    else:
        yield "with fixed weights,"
    search = results.get("search") or {}
    folds, trials = results.get("n_folds"), search.get("trials")
    beside = ""
    if columns := chosen.get("tabular"):
        named = ", ".join(printable(name) for name in columns)
        beside = f" and the columns {named} (imputed, encoded and standardised inside the folds)"
    yield (
        f"and classified by {chosen['head']} on "
        f"{'' if results.get('protocol') else 'standardised '}embeddings{beside} "
        f"{cite(SCIKIT_LEARN)}."
    )
    if protocol := results.get("protocol"):
        yield (
            f"Values of C, solver tolerance and scaling follow the linear-probe protocol "
            f"'{protocol}' (featx documentation, protocols.md, says where it differs)."
        )
    if trials and trials > 1:
        yield (
            f"It was selected among {counted(trials, 'setting')} by "
            f"{metric_name(results['scoring'])} in {folds}-fold stratified cross-validation."
        )
    compared = (results.get("comparison") or {}).get("folds")
    if compared and compared.get("n_comparisons"):
        test = f" {cite(T_TEST)}" if "t-test" in compared["method"] else ""
        yield (
            f"Candidates were compared by a {compared['method']}{test}, with p-values adjusted by "
            f"Holm's method {cite(HOLM)}."
        )


def _estimate(run: Finished, cite: Cite) -> Iterator[str]:
    estimate, trust = run.results["estimate"], run.results.get("trust") or {}
    cross = f"cross-validation {cite(NESTED)}" if estimate["method"] in CROSSED else ""
    how = {
        "test": "on the test split, which played no part in training or selection",
        "holdout": "on images held out from training and selection",
        "nested": f"by nested {cross}",
        SITES: "with every group left out by itself, predicted by settings chosen and fitted "
        "without it",
        "repeated": f"by repeated nested {cross}",
        "evaluated": "on labelled images that played no part in training or selection",
        "copies": "on copies of training images",
    }.get(estimate["method"], f"by {estimate['description']}")
    yield (
        f"Performance was estimated {how} ({counted(estimate['n_images'], 'image')}), with "
        f"intervals from the bootstrap ({estimate['interval']}) {cite(BOOTSTRAP)}:"
    )
    names = dict.fromkeys((run.results["scoring"].removeprefix("neg_"), "accuracy", "f1_macro"))
    metrics = estimate["metrics"]
    yield ", ".join(f"{metric_name(n)} {interval(metrics[n])}" for n in names if n in metrics) + "."
    yield from _threshold(run)
    method = (trust.get("calibration") or {}).get("method", "none")
    if method != "none":
        yield f"Probabilities were calibrated ({method}) {cite(CALIBRATION)}."
    if sets := trust.get("prediction_sets"):
        yield (
            f"Prediction sets of {100 * sets['coverage']:.0f} % coverage are conformal "
            f"({sets['method']}) {cite(CONFORMAL)}."
        )
    if (novelty := trust.get("novelty")) and novelty.get("method") == "mahalanobis":
        yield f"Out-of-distribution images are found by Mahalanobis distances {cite(MAHALANOBIS)}."


def _threshold(run: Finished) -> Iterator[str]:
    """How a class is decided for, and what that achieves."""
    threshold, operating = in_force(run.results), run.results.get("operating") or {}
    if threshold is None:
        return
    name, _, asked = str(threshold["asked"]).rpartition(":")
    chosen = operating.get("chosen_on", "out of fold").replace("out of fold", "out-of-fold")
    how = "" if asked.startswith("cutoff=") else f", chosen on {chosen} predictions for {asked}"
    at = "" if threshold.get("cutoff") is None else f" of {cutoff_text(threshold['cutoff'])}"
    yield (
        f"{name} was predicted from a probability{at} on{how}: sensitivity "
        f"{interval(threshold['recall'])}, positive predictive value "
        f"{interval(threshold['precision'])}."
    )


def _versions(run: Finished, cite: Cite) -> Iterator[str]:
    versions = run.environment.get("versions", {})
    named = ", ".join(f"{k} {versions[k]}" for k in ("featx", "scikit-learn") if k in versions)
    torch = f" and torch {versions['torch']} {cite(TORCH)}" if "torch" in versions else ""
    yield f"Computed with {named}{torch}; seed {run.results.get('seed')}."
