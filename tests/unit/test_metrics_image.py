"""Image-level measures against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from harness.config import load_methods
from harness.errors import ConfigError
from harness.metrics.image import accuracy, best_threshold, class_accuracy, decide, image_auroc

labelled_scores = st.integers(1, 30).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float64, count, elements=st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))),
        arrays.arrays(np.bool_, count),
        arrays.arrays(np.int64, count, elements=st.integers(0, 4)),
    )
)


@settings(max_examples=40, deadline=None)
@given(labelled_scores)
def test_auroc_equals_scikit_learn_with_ties_and_weights(case):
    scores, anomalous, weights = case
    if anomalous.all() or not anomalous.any():
        assert image_auroc(scores, anomalous) is None
        return
    assert image_auroc(scores, anomalous) == pytest.approx(roc_auc_score(anomalous, scores), abs=1e-12)
    repeated = anomalous.repeat(weights)
    expected = None
    if repeated.any() and not repeated.all():
        expected = pytest.approx(roc_auc_score(repeated, scores.repeat(weights)), abs=1e-12)
    assert image_auroc(scores, anomalous, weights) == expected


def test_equal_scores_have_auroc_one_half():
    assert image_auroc(np.full(6, 0.3), np.array([0, 0, 1, 1, 1, 0], bool)) == 0.5


@settings(max_examples=40, deadline=None)
@given(labelled_scores)
def test_the_oracle_is_as_good_as_the_best_of_all_thresholds(case):
    scores, anomalous, _ = case
    assume(anomalous.any() and not anomalous.all())
    rates = {"accuracy": lambda p: np.mean(p == anomalous), "class_accuracy": lambda p: balanced(anomalous, p)}
    for measure, rate in rates.items():
        best = max(rate(scores >= t) for t in [*scores, np.inf])
        found = best_threshold(scores, anomalous, measure)
        assert rate(scores >= found) == pytest.approx(best, abs=1e-12)


def balanced(anomalous, predicted):
    return (np.mean(predicted[anomalous]) + np.mean(~predicted[~anomalous])) / 2


def test_the_oracle_lies_midway_between_neighbouring_scores():
    assert best_threshold(np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1], bool), "accuracy") == 3.0
    assert best_threshold(np.array([1.0, 2.0]), np.array([1, 0], bool), "class_accuracy") == 1.0


def test_the_oracle_separates_neighbouring_floats():
    scores = np.array([1.0, np.nextafter(1.0, 2)])
    found = best_threshold(scores, np.array([0, 1], bool), "accuracy")
    assert (scores >= found).tolist() == [False, True]


def test_accuracies_equal_scikit_learn():
    generator = np.random.default_rng(0)
    anomalous, predicted = generator.random(50) < 0.2, generator.random(50) < 0.4
    assert accuracy(predicted, anomalous) == np.mean(anomalous == predicted)
    assert class_accuracy(predicted, anomalous) == pytest.approx(balanced_accuracy_score(anomalous, predicted))
    assert class_accuracy(predicted, np.ones(50, bool)) is None
    assert class_accuracy(predicted, np.zeros(50, bool)) is None
    assert accuracy(np.zeros(0, bool), np.zeros(0, bool)) is None


def decided(policy, scores, **others):
    context = {"validation_scores": None, "regions": None} | others
    labels = np.arange(len(scores)) >= 2
    return decide(policy, "accuracy", np.array(scores), labels, **context)


def test_a_probability_is_compared_with_one_half_as_it_is():
    # a classifier that calls every image normal: normalised over them, 0.036 would have been the threshold
    choice = decided("fixed:0.5", [0.001, 0.01, 0.03, 0.071])
    assert (choice.threshold, choice.note) == (0.5, None)
    assert not choice.predicted.any()
    assert decided("fixed:0.5", [0.2, 0.49, 0.5, 0.9]).predicted.tolist() == [False, False, True, True]


def test_scores_without_a_scale_are_normalised_over_the_test_images():
    choice = decided("normalised:0.5", [10.0, 11.9, 12.0, 14.0])
    assert choice.predicted.tolist() == [False, False, True, True]
    assert choice.threshold == 12
    assert "normalised" in choice.note
    # 0.1 + 1 × (0.3 − 0.1) is above 0.3 in floating point: the highest score still counts
    assert decided("normalised:1", [0.1, 0.2, 0.3]).predicted.tolist() == [False, False, True]


def test_equal_scores_cannot_be_normalised_and_count_as_zero():
    choice = decided("normalised:0.5", [2.0, 2.0, 2.0])
    assert not choice.predicted.any()
    assert "equal" in choice.note


def test_scores_above_all_of_validation_are_anomalous():
    choice = decided("max_normal_validation", [1.0, 3.0, 3.1], validation_scores=np.array([2.0, 3.0]))
    assert choice.predicted.tolist() == [False, False, True]
    for none in (None, np.zeros(0)):
        assert decided("max_normal_validation", [1.0, 2.0], validation_scores=none).predicted is None


def test_regions_decide_where_there_are_regions():
    regions = np.array([True, False])
    assert decided("region", [1.0, 2.0], regions=regions).predicted is regions
    assert decided("region", [1.0, 2.0]).predicted is None


@pytest.mark.parametrize("policy", ["normal_validation", "fixed:", "normalised:x", "oracle"])
def test_an_unknown_policy_is_refused(policy):
    with pytest.raises(ConfigError, match=policy):
        decided(policy, [1.0, 2.0])


def test_entries_whose_score_is_a_probability_do_not_normalise_it():
    """Weak supervision trains a classifier: its score is the probability of the anomalous class."""
    weak = {name: entry.image_threshold for name, entry in load_methods().items() if entry.weak}
    assert weak
    assert set(weak.values()) == {"fixed:0.5"}
