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
    nd.KernelRegressor("gaussian", "aicc", degree=0),
    nd.KernelRegressor(neighbors=5),
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


def least_squares(query, x, y, h, degree):
    """The coefficients of the biweight local polynomial at one query, its constant first, by weighted least squares."""
    offsets = (x - query) / h
    w = np.maximum(0.0, 1.0 - (offsets**2).sum(axis=1)) ** 2
    columns = [np.ones(len(x))] + list(offsets.T) * (degree >= 1)
    if degree >= 2:
        columns += [offsets[:, i] * offsets[:, j] for i in range(x.shape[1]) for j in range(i + 1)]
    root = np.sqrt(w)[:, None]
    return np.linalg.lstsq(np.stack(columns, axis=1) * root, y * root[:, 0])[0]


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
    model = nd.KernelRegressor(chosen, degree=0, exponent=kernel.get("exponent"), bandwidths=grid).fit(x, y)
    errors = []
    for h in grid:
        squares = []
        for i in range(len(x)):
            rest = dict(x=np.delete(x, i, 0), y=np.delete(y, i), bandwidth=h, **kernel)
            alone = not oracle.weights(
                x[i : i + 1], rest["x"], normalization="fixed", similarity="euclidean", bandwidth=h, **kernel
            ).any()
            squares.append(4 * y.var() if alone else (predicted(x[i : i + 1], **rest)[0] - y[i]) ** 2)
        errors.append(np.mean(squares))
    np.testing.assert_allclose(model.errors_, errors, rtol=1e-11)
    assert model.bandwidth_ == grid[int(np.argmin(errors))]
    np.testing.assert_allclose(model.predict(queries), predicted(queries, x, y, model.bandwidth_, **kernel), rtol=1e-11)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_local_polynomials(degree):
    x, y = data()
    h = np.array([0.5, 0.7])
    model = nd.KernelRegressor(bandwidth=h, degree=degree).fit(x, y)
    assert (model.bandwidth_ == h).all()
    coefficients = np.array([least_squares(one, x, y, h, degree) for one in x[:9]])
    np.testing.assert_allclose(model.predict(x[:9]), coefficients[:, 0], rtol=1e-7)
    if degree > 0:
        np.testing.assert_allclose(model.slopes(x[:9]), coefficients[:, 1:3] / h, rtol=1e-6)
    for criterion in ("loo", "gcv", "aicc"):
        chosen = nd.KernelRegressor(bandwidth=criterion, degree=degree).fit(x, y)
        assert chosen.bandwidth_.shape == (2,)
        here = nd.KernelRegressor(bandwidth=criterion, degree=degree, bandwidths=[0.1, 0.3, 0.6]).fit(x, y)
        best = chosen.criterion(criterion)
        assert best <= here.errors_.min(), (criterion, best, here.errors_)


def test_intervals():
    x, y = data(300, 1)
    model = nd.KernelRegressor().fit(x, y)
    at = np.linspace(0, 1, 50)[:, None]
    mean, std, interval = model.predict(at, return_std=True, return_interval=True)
    assert (mean == model.predict(at)).all() and std.shape == (50,) and interval.shape == (50, 2)
    assert (model.predict(at, return_std=True)[1] == std).all()
    np.testing.assert_allclose(interval.mean(axis=1), mean, rtol=1e-12)
    narrow = model.predict(at, return_interval=True, level=0.5)[1]
    assert (np.ptp(narrow, axis=1) < 0.5 * np.ptp(interval, axis=1)).all()
    covered = (interval[:, 0] < np.sin(3 * at[:, 0])) & (np.sin(3 * at[:, 0]) < interval[:, 1])
    assert covered.mean() > 0.8
    together = model.predict(at, return_interval="simultaneous")[1]
    wider = np.ptp(together, axis=1) / np.ptp(interval, axis=1)
    assert 1.2 < np.median(wider) < 2.5
    with pytest.raises(ValueError, match='return_interval must be False, True, "pointwise" or "simultaneous"'):
        model.predict(at, return_interval="both")
    # The definition: weights of the fit, which is linear in y, and the variance of each observation.
    diagnostics = model.diagnose()
    rows = np.array([nd.KernelRegressor(bandwidth=model.bandwidth_).fit(x, e).predict(at) for e in np.eye(len(x))]).T
    np.testing.assert_allclose(std, np.sqrt(rows**2 @ diagnostics.noise), rtol=1e-8)
    np.testing.assert_allclose(diagnostics.residuals, y - model.predict(x), atol=1e-14)
    assert diagnostics.degrees_of_freedom == pytest.approx(diagnostics.leverage.sum())
    assert diagnostics.r_squared[0] == pytest.approx(1 - (diagnostics.residuals**2).sum() / (len(y) * y.var()))
    far = model.predict([[9.0]], return_std=True)
    assert far[0] == pytest.approx(y.mean()) and far[1] == np.inf
    assert np.isnan(model.slopes([[9.0]])).all()


def test_plug_in():
    x, y = data(300, 1)
    h = nd.KernelRegressor(bandwidth="plugin").fit(x, y).bandwidth_
    assert 0.1 < h[0] < 1.0
    # All kernels smooth alike: canonical bandwidths (Marron and Nolan 1988), 1 for a Gaussian's (1 / (4 pi))^(1/10).
    gaussian = nd.KernelRegressor("gaussian", "plugin").fit(x, y).bandwidth_
    assert h[0] / gaussian[0] == pytest.approx(2.036 / 0.776, rel=1e-3)


def test_categories():
    random = np.random.default_rng(0)
    group, rank = random.integers(0, 3, 400), random.integers(0, 5, 400)
    x = np.column_stack([random.random(400), group, rank])
    y = np.sin(3 * x[:, 0]) + np.array([0.0, 1.0, -1.0])[group] + 0.1 * rank + 0.1 * random.standard_normal(400)
    h, by_group, by_rank = bandwidth = [0.4, 0.1, 0.5]
    model = nd.KernelRegressor("gaussian", bandwidth, degree=0, unordered=[1], ordered=[2]).fit(x, y)
    weights = np.exp(-(((x[:, :1] - x[:9, 0]) / h) ** 2) / 2) * np.where(group[:, None] == group[:9], 1, by_group)
    weights *= by_rank ** np.abs(rank[:, None] - rank[:9])
    np.testing.assert_allclose(model.predict(x[:9]), y @ weights / weights.sum(axis=0), rtol=1e-12)
    chosen = nd.KernelRegressor(unordered=[1], ordered=[2]).fit(x, y)
    assert chosen.bandwidth_[1] < 0.1 and 0 <= chosen.bandwidth_[2] <= 1
    assert chosen.score(x, y) > 0.95
    assert nd.KernelClassifier(unordered=[1]).fit(x[:, :2], y > 0.5).score(x[:, :2], y > 0.5) > 0.9
    assert (pickle.loads(pickle.dumps(chosen)).predict(x) == chosen.predict(x)).all()


def test_neighbors():
    x, y = data()
    scaled = x / x.std(axis=0)
    model = nd.KernelRegressor(neighbors=12).fit(x, y)
    assert model.neighbors_ == 12 and model.bandwidth_ is None
    for i in range(5):
        reach = np.sort(np.linalg.norm(scaled - scaled[i], axis=1))[12]
        assert model.predict(x[i : i + 1])[0] == pytest.approx(
            least_squares(scaled[i], scaled, y, reach, 1)[0], rel=1e-7
        )
    chosen = nd.KernelRegressor(neighbors=[5, 12, 40], bandwidth="gcv").fit(x, y)
    each = [nd.KernelRegressor(neighbors=k).fit(x, y).criterion("gcv") for k in (5, 12, 40)]
    assert chosen.neighbors_ == (5, 12, 40)[int(np.argmin(each))]


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
    model = nd.KernelRegressor(nd.RectifiedPower(alpha=1.25)).fit(x, both)
    assert model.predict(x).shape == (60, 2)
    np.testing.assert_allclose(model.predict(x)[:, 1], -2 * model.predict(x)[:, 0])
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict(x) == model.predict(x)).all()
    assert model.predict(x, return_interval=True)[1].shape == (60, 2, 2) and model.slopes(x).shape == (60, 2, 2)
    assert (again.predict(x, return_std=True)[1] == model.predict(x, return_std=True)[1]).all()


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
    one, all_cores = (nd.KernelRegressor(threads=threads).fit(x, y) for threads in (1, None))
    assert (one.bandwidth_ == all_cores.bandwidth_).all() and (one.predict(x) == all_cores.predict(x)).all()
    assert (one.predict(x, return_std=True)[1] == all_cores.predict(x, return_std=True)[1]).all()


@pytest.mark.parametrize(
    "model, message",
    [
        (nd.KernelRegressor("box"), "kernel must be one of"),
        (nd.KernelRegressor("polynomial"), "kernel polynomial needs exponent or alpha"),
        (nd.KernelRegressor(exponent=1.5), "goes with kernel polynomial only"),
        (nd.KernelRegressor(bandwidth="scott"), "a number or one for each column, got 'scott'"),
        (nd.KernelRegressor(bandwidth=-1.0), "bandwidth 0 must be positive"),
        (nd.KernelRegressor(bandwidth=[1.0, 1.0, 1.0]), "bandwidths must have one element for each column of x"),
        (nd.KernelRegressor(bandwidths=[]), "bandwidths must not be empty"),
        (nd.KernelRegressor(bandwidth="gcv", bandwidths=[1e-6]), "gcv is infinite at each of"),
        (nd.KernelRegressor(degree=4), "degree must be 0 to 3"),
        (nd.KernelRegressor(ridge=0.0), "ridge must be positive"),
        (nd.KernelRegressor(unordered=[2]), "unordered must hold columns of X from 0 to 1, got 2"),
        (nd.KernelRegressor(unordered=[1], ordered=[1]), "column 1 is named twice"),
        (nd.KernelRegressor(bandwidth="plugin"), "x and y must be one column"),
        (nd.KernelRegressor(bandwidth="plugin", bandwidths=[1.0]), "plugin chooses among no candidates"),
        (nd.KernelRegressor(neighbors=0), "neighbors must be from 1 to N - 2"),
        (nd.KernelRegressor("gaussian", neighbors=5), "neighbors need a compact kernel"),
        (nd.KernelRegressor(bandwidth=1.0, neighbors=5), "neighbors replace the bandwidth"),
        (nd.KernelRegressor(empty_value="zero"), 'empty_value must be "mean" or a number'),
        (nd.KernelClassifier(bandwidth=0.0), "bandwidth 0 must be positive"),
    ],
    ids=str,
)
def test_refusals(model, message):
    x, y = data()
    with pytest.raises(ValueError, match=message):
        model.fit(x, y > 0.5 if isinstance(model, nd.KernelClassifier) else y).predict(x)


@pytest.mark.parametrize("degree", [0, 1])
def test_weights_count_squared_errors(degree):
    x, y = data()
    weights = np.random.default_rng(5).integers(0, 4, len(x))
    model = nd.KernelRegressor("biweight", 0.6, degree=degree).fit(x, y, weights=weights)
    repeated = nd.KernelRegressor("biweight", 0.6, degree=degree).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(model.predict(x), repeated.predict(x), atol=1e-9)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x), atol=1e-12)
    classes = np.where(y > np.median(y), "high", "low")
    by_weight = nd.KernelClassifier("biweight", 0.6).fit(x, classes, weights=weights)
    by_rows = nd.KernelClassifier("biweight", 0.6).fit(np.repeat(x, weights, axis=0), np.repeat(classes, weights))
    np.testing.assert_allclose(by_weight.predict_proba(x), by_rows.predict_proba(x), atol=1e-12)


def test_the_search_sees_weights():
    x, y = data(200)
    noise = 3 * np.random.default_rng(6).standard_normal(100)
    both, bad = np.vstack([x, x[:100] + 1e-3]), np.concatenate([y, y[:100] + noise])
    weights = np.where(np.arange(300) < 200, 1.0, 1e-6)
    searched = nd.KernelRegressor().fit(both, bad, weights=weights)
    np.testing.assert_allclose(searched.predict(x), nd.KernelRegressor().fit(x, y).predict(x), atol=0.02)


@pytest.mark.parametrize("weights", [[-1.0] * 60, [0.0] * 60, [1.0] * 59])
def test_weights_without_meaning_are_refused(weights):
    x, y = data()
    with pytest.raises(ValueError, match="weight"):
        nd.KernelRegressor(bandwidth=0.6).fit(x, y, weights=weights)
