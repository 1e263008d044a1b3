"""KernelRegressor and KernelClassifier: scikit-learn's own checks, and the definition."""

import pickle

import numpy as np
import oracle
import pytest

sklearn = pytest.importorskip("sklearn", minversion="1.6")

from sklearn.datasets import load_iris, make_moons  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import nadaraya as nd  # noqa: E402

ESTIMATORS = [
    nd.KernelRegressor(),
    nd.KernelRegressor("epanechnikov", bandwidth=1.5),
    nd.KernelRegressor("polynomial", exponent=2.5),
    nd.KernelClassifier(),
    nd.KernelClassifier("biweight"),
    nd.KernelClassifier(nd.Triweight(), bandwidth=2.0),
]


@parametrize_with_checks(ESTIMATORS)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def data(n=60, dim=2, seed=0):
    random = np.random.default_rng(seed)
    x = random.random((n, dim))
    return x, np.sin(3 * x[:, 0]) + 0.1 * random.standard_normal(n)


def predicted(queries, x, y, bandwidth, **kernel):
    return oracle.weights(queries, x, normalization="fixed", similarity="euclidean", bandwidth=bandwidth, **kernel) @ y


@pytest.mark.parametrize(
    "kernel",
    [dict(kernel=name) for name in ("gaussian", "epanechnikov", "biweight", "triweight", "uniform")]
    + [dict(kernel="polynomial", exponent=1.7), dict(kernel="polynomial", alpha=1.25)],
    ids=str,
)
def test_prediction_and_leave_one_out_error(kernel):
    x, y = data()
    queries = data(seed=1)[0]
    grid = [0.02, 0.1, 0.2, 0.4, 0.8]
    chosen = nd.RectifiedPower(alpha=kernel["alpha"]) if "alpha" in kernel else kernel["kernel"]
    model = nd.KernelRegressor(chosen, exponent=kernel.get("exponent"), bandwidths=grid).fit(x, y)
    errors = []
    for h in grid:
        left_out = [predicted(x[i : i + 1], np.delete(x, i, 0), np.delete(y, i), h, **kernel)[0] for i in range(len(x))]
        empty = [
            not oracle.weights(
                x[i : i + 1], np.delete(x, i, 0), normalization="fixed", similarity="euclidean", bandwidth=h, **kernel
            ).any()
            for i in range(len(x))
        ]
        errors.append(np.inf if any(empty) else np.mean((np.array(left_out) - y) ** 2))
    np.testing.assert_allclose(model.errors_, errors, rtol=1e-11)
    assert model.bandwidth_ == grid[int(np.argmin(errors))]
    np.testing.assert_allclose(model.predict(queries), predicted(queries, x, y, model.bandwidth_, **kernel), rtol=1e-11)


def test_rows_without_points():
    x, y = data()
    far = np.array([[0.5, 0.5], [9.0, 9.0]])
    model = nd.KernelRegressor("biweight", bandwidth=0.5).fit(x, y)
    assert model.predict(far)[1] == pytest.approx(y.mean()) and list(model.empty_rows(far)) == [1]
    assert np.isnan(nd.KernelRegressor("biweight", 0.5, empty_value=np.nan).fit(x, y).predict(far)[1])
    labels = np.where(y > 0.7, "high", "low")
    classifier = nd.KernelClassifier("biweight", bandwidth=0.5).fit(x, labels)
    np.testing.assert_allclose(classifier.predict_proba(far)[1], [(labels == "high").mean(), (labels == "low").mean()])


def test_more_outputs_and_objects():
    x, y = data()
    both = np.stack([y, -2 * y], axis=1)
    model = nd.KernelRegressor(nd.RectifiedPower(alpha=1.25), bandwidth=0.4).fit(x, both)
    assert model.predict(x).shape == (60, 2)
    np.testing.assert_allclose(model.predict(x)[:, 1], -2 * model.predict(x)[:, 0])
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict(x) == model.predict(x)).all()


def test_pipelines_and_searches():
    x, y = data(200)
    pipeline = make_pipeline(StandardScaler(), nd.KernelRegressor("biweight"))
    assert cross_val_score(pipeline, x, y, cv=5).min() > 0.7
    search = GridSearchCV(
        pipeline,
        {"kernelregressor__kernel": ["gaussian", "epanechnikov"], "kernelregressor__bandwidth": [0.3, "loo"]},
        cv=3,
    )
    assert search.fit(x, y).best_score_ > 0.7
    assert (
        cross_val_score(
            make_pipeline(StandardScaler(), nd.KernelClassifier()), *load_iris(return_X_y=True), cv=5
        ).mean()
        > 0.93
    )
    assert (
        cross_val_score(nd.KernelClassifier("epanechnikov"), *make_moons(400, noise=0.2, random_state=0), cv=5).mean()
        > 0.93
    )


def test_threads_do_not_change_a_bit():
    x, y = data(700)
    one, all_cores = (nd.KernelRegressor("biweight", threads=threads).fit(x, y) for threads in (1, None))
    assert (one.errors_ == all_cores.errors_).all() and (one.predict(x) == all_cores.predict(x)).all()


@pytest.mark.parametrize(
    "model, message",
    [
        (nd.KernelRegressor("box"), "kernel must be one of"),
        (nd.KernelRegressor("polynomial"), "kernel polynomial needs exponent or alpha"),
        (nd.KernelRegressor(exponent=1.5), "goes with kernel polynomial only"),
        (nd.KernelRegressor(bandwidth="scott"), "bandwidth must be a number or \"loo\", got 'scott'"),
        (nd.KernelRegressor(bandwidth=-1.0), "bandwidth must be positive"),
        (nd.KernelRegressor("biweight", bandwidths=[1e-6]), "some point has no other within the bandwidth"),
        (nd.KernelRegressor(empty_value="zero"), 'empty_value must be "mean" or a number'),
        (nd.KernelClassifier(bandwidth=0.0), "bandwidth must be positive"),
    ],
    ids=str,
)
def test_refusals(model, message):
    x, y = data()
    with pytest.raises(ValueError, match=message):
        model.fit(x, y > 0.5 if isinstance(model, nd.KernelClassifier) else y).predict(x)
