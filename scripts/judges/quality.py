# /// script
# requires-python = ">=3.11"
# dependencies = ["evidently==0.7.23", "numpy==2.4.6", "pandas<3", "scikit-learn==1.9.1", "scipy==1.17.1"]
# ///
"""Says what scores and drift of given samples are, as SciPy, scikit-learn and Evidently have them.

    quality.py make > crates/inferometer-quality/tests/fixtures/quality.json
    quality.py check crates/inferometer-quality/tests/fixtures/quality.json

`make` draws the samples from a seed and prints them with their values; the tests of inferometer-quality read that file and need no
Python. `check` computes the values of a file's own samples again, prints how many agree to 1e-12 and exits with 0, or says on stderr
what differed and exits with 1. The packages above are not in scripts/requirements.txt: nobody needs them to run the tests.
"""

import argparse
import json
import math
import pathlib
import sys
import warnings

import numpy
import pandas
import scipy
import sklearn
from evidently.legacy.calculations.stattests.psi import psi_stat_test
from evidently.legacy.core import ColumnType
from scipy.spatial import distance
from scipy.stats import chi2_contingency, ks_2samp, kstwobign, wasserstein_distance
from sklearn import metrics


class Deviation(Exception):
    """A value isn't what the packages say."""


def plain(array, digits=6):
    """Short decimals, which every reader takes for the same floats."""
    return [round(float(value), digits) for value in array]


def evidently_psi(reference, window, kind):
    return float(psi_stat_test.func(pandas.Series(reference), pandas.Series(window), kind, 0.1)[0])


def numeric(case):
    reference, window = numpy.array(case["reference"]), numpy.array(case["window"])
    edges = numpy.histogram_bin_edges(numpy.concatenate([reference, window]), bins="sturges")
    shares = [numpy.histogram(sample, edges)[0] / len(sample) for sample in (reference, window)]
    statistic = float(ks_2samp(reference, window, method="asymp").statistic)
    size = len(reference) * len(window) / (len(reference) + len(window))
    return {
        "edges": [float(edge) for edge in edges[1:-1]],
        "kolmogorov_smirnov": statistic,
        "kolmogorov_smirnov_p": float(kstwobign.sf(math.sqrt(size) * statistic)),
        "wasserstein": float(wasserstein_distance(reference, window)),
        "jensen_shannon": float(distance.jensenshannon(shares[0], shares[1], base=2)),
        "psi": evidently_psi(reference, window, ColumnType.Numerical),
    }


def categorical(case):
    reference, window = numpy.array(case["reference"]), numpy.array(case["window"])
    seen = reference + window > 0
    statistic, p_value, _, _ = chi2_contingency([reference[seen], window[seen]], correction=False)
    names = [f"c{index}" for index in range(len(reference))]
    return {
        "chi_squared": float(statistic),
        "chi_squared_p": float(p_value),
        "jensen_shannon": float(distance.jensenshannon(reference / reference.sum(), window / window.sum(), base=2)),
        "psi": evidently_psi(numpy.repeat(names, reference), numpy.repeat(names, window), ColumnType.Categorical),
    }


def regression(case):
    truth, predicted = case["truth"], case["predicted"]
    return {
        "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
        "mae": float(metrics.mean_absolute_error(truth, predicted)),
        "r2": float(metrics.r2_score(truth, predicted)),
    }


def binary(case):
    truth, probability = numpy.array(case["truth"]), numpy.array(case["probability"])
    predicted = (probability >= 0.5).astype(int)
    return {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "precision": float(metrics.precision_score(truth, predicted)),
        "recall": float(metrics.recall_score(truth, predicted)),
        "f1": float(metrics.f1_score(truth, predicted)),
        "log_loss": float(metrics.log_loss(truth, probability)),
    }


def classes(case):
    truth, probabilities = numpy.array(case["truth"]), numpy.array(case["probabilities"])
    predicted = probabilities.argmax(axis=1)
    values = {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "log_loss": float(metrics.log_loss(truth, probabilities, labels=list(range(probabilities.shape[1])))),
    }
    for average in ("macro", "micro"):
        for name, score in (("precision", metrics.precision_score), ("recall", metrics.recall_score), ("f1", metrics.f1_score)):
            values[f"{name}_{average}"] = float(score(truth, predicted, average=average, zero_division=0))
    return values


JUDGES = {"numeric": numeric, "categorical": categorical, "regression": regression, "binary": binary, "classes": classes}


def draw():
    random = numpy.random.default_rng(20260)
    normal = lambda size, mean=0.0, deviation=1.0: plain(random.normal(mean, deviation, size))
    probabilities = [plain(row, 12) for row in random.dirichlet([0.7, 1.2, 0.5, 0.9], 300)]
    drawn = {
        "numeric": {
            "alike": (normal(400), normal(250)),
            "shifted by half a deviation": (normal(400), normal(250, 0.5)),
            "widened": (normal(400), normal(250, 0.0, 2.0)),
            "far apart": (normal(200), normal(150, 50.0)),
            "skewed": (plain(random.lognormal(0, 1, 400)), plain(random.lognormal(0.2, 1.1, 300))),
            "with ties": (plain(random.integers(0, 40, 400)), plain(random.integers(3, 44, 300))),
            "few against many": (normal(800), normal(7)),
            "far from zero": (normal(300, 1e6), normal(300, 1e6, 1.1)),
        },
        "categorical": {
            "alike": ([400, 300, 200, 100], [41, 29, 22, 8]),
            "swapped": ([400, 300, 200, 100], [10, 20, 30, 40]),
            "unseen in the window": ([400, 300, 200, 100], [50, 0, 25, 25]),
            "unseen in the reference": ([500, 500, 0], [480, 500, 20]),
            "two": ([900, 100], [870, 130]),
            "in neither": ([900, 0, 100], [870, 0, 130]),
            "many": (random.integers(50, 500, 30).tolist(), random.integers(5, 50, 30).tolist()),
        },
        "regression": {},
        "binary": {},
        "classes": {"four": {"truth": [int(random.choice(4, p=numpy.array(row) / sum(row))) for row in probabilities], "probabilities": probabilities}},
    }
    for kind in ("numeric", "categorical"):
        drawn[kind] = {name: {"reference": list(reference), "window": list(window)} for name, (reference, window) in drawn[kind].items()}
    for name, mean in (("near zero", 0.0), ("far from zero", 1e6)):
        truth = random.normal(mean, 3.0, 300)
        drawn["regression"][name] = {"truth": plain(truth), "predicted": plain(truth + random.normal(0.1, 1.0, 300))}
    probability = plain(random.beta(0.8, 1.1, 300), 9)
    # A certainty that is wrong has a loss, and not an infinite one.
    probability[:2] = [0.0, 1.0]
    truth = [int(random.random() < 0.2 + 0.6 * value) for value in probability]
    truth[:2] = [1, 0]
    drawn["binary"]["sure and wrong"] = {"truth": truth, "probability": probability}
    drawn["classes"]["one never occurs"] = {
        "truth": [0, 1, 1, 3, 0, 3],
        "probabilities": [[0.7, 0.1, 0.1, 0.1], [0.2, 0.5, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.0, 0.7], [0.25, 0.25, 0.25, 0.25]],
    }
    return drawn


def make():
    made = {kind: [{"name": name, **case, "values": JUDGES[kind](case)} for name, case in cases.items()] for kind, cases in draw().items()}
    versions = {"numpy": numpy.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__, "evidently": "0.7.23"}
    return {"made_with": versions, **made}


def check(fixture):
    agreed = 0
    for kind, judge in JUDGES.items():
        if not fixture.get(kind):
            raise Deviation(f"there is no case of {kind}")
        for case in fixture[kind]:
            found = judge(case)
            if found.keys() != case["values"].keys():
                raise Deviation(f"{kind}, {case['name']}: values {sorted(case['values'])} where {sorted(found)} are due")
            for name, value in found.items():
                if not numpy.allclose(value, case["values"][name], rtol=1e-12, atol=1e-12):
                    raise Deviation(f"{kind}, {case['name']}: {name} is {case['values'][name]}, and should be {value}")
                agreed += 1
    return {"values": agreed}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("fixture", nargs="?", type=pathlib.Path, help="the file to check")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.what == "make":
        lines = json.dumps(make(), indent=None)
        # A case a line, so that a change can be read.
        print(lines.replace('{"name"', '\n{"name"'))
        return
    if arguments.fixture is None:
        parser.error("check needs the file")
    try:
        print(json.dumps(check(json.loads(arguments.fixture.read_text()))))
    except Deviation as deviation:
        sys.exit(f"quality: {deviation}")


if __name__ == "__main__":
    main()
