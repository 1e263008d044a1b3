"""Local regression and kernel classification for scikit-learn, which this module needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Union

import numpy
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _core
from ._attention import _name
from ._policies import Kernel

__all__ = ["KernelClassifier", "KernelRegressor", "RegressionDiagnostics"]

_CRITERIA = ("loo", "gcv", "aicc", "plugin")


@dataclass(frozen=True)
class RegressionDiagnostics:
    """A regression on its own data: y^ = S y with the hat matrix S. Arrays have the shape of y where not said."""

    fitted: NDArray[Any]
    residuals: NDArray[Any]
    leverage: NDArray[Any]
    """[n], the diagonal of S."""
    noise: NDArray[Any]
    """Estimates of the variance of each observation, of which standard errors are made."""
    degrees_of_freedom: float
    """trace S"""
    residual_degrees_of_freedom: float
    """n - 2 trace S + trace S S^T"""
    variance: NDArray[Any]
    """[outputs], the sum of squared residuals over their degrees of freedom."""
    r_squared: NDArray[Any]
    """[outputs]"""


class _KernelEstimator(BaseEstimator):  # type: ignore[misc]
    """Points with targets, and the bandwidth."""

    kernel: Union[str, Kernel]
    bandwidth: Union[float, str, Sequence[float]]
    neighbors: Union[int, Sequence[int], None]
    exponent: Optional[float]
    unordered: Optional[Sequence[int]]
    ordered: Optional[Sequence[int]]
    bandwidths: Optional[Sequence[float]]
    threads: Optional[int]

    def _parameters(self) -> tuple[str, Optional[float], Optional[float]]:
        parameters: dict[str, Any] = dict(exponent=self.exponent, alpha=None)
        kernel = self.kernel
        name = kernel if isinstance(kernel, str) else _name("kernel", kernel, Kernel, parameters)
        return name, parameters["exponent"], parameters["alpha"]

    def _fit_points(
        self, X: NDArray[Any], targets: NDArray[Any], weights: Optional[ArrayLike], degree: int, ridge: float = 1e-10
    ) -> None:
        """Copies the data, and chooses the bandwidths."""
        counts: Optional[NDArray[Any]] = None
        if weights is not None:
            counts = numpy.asarray(weights, dtype=numpy.float64)
            if counts.shape != (len(X),):
                raise ValueError(f"weights must be one for each of {len(X)} samples, got shape {counts.shape}")
            if not (numpy.isfinite(counts).all() and (counts >= 0).all() and (counts > 0).any()):
                raise ValueError("weights must be finite, not negative, and positive for some sample")
            # A sample of no weight is none.
            counted = counts > 0
            X, targets, counts = X[counted], targets[counted], counts[counted]
        chosen = isinstance(self.bandwidth, str)
        criterion = str(self.bandwidth) if chosen else "loo"
        if criterion not in _CRITERIA:
            raise ValueError(
                f'bandwidth must be "loo", "gcv", "aicc", "plugin", a number or one for each column, got {self.bandwidth!r}'
            )

        def model(bandwidths: ArrayLike = (), neighbors: Any = ()) -> _core.Regression:
            return _core.Regression(
                X,
                targets,
                *self._parameters(),
                criterion,
                [float(h) for h in numpy.ravel(bandwidths)],
                [int(k) for k in numpy.ravel(neighbors)],
                degree,
                ridge,
                [int(d) for d in self.unordered or ()],
                [int(d) for d in self.ordered or ()],
                [] if counts is None else counts.tolist(),
                self.threads,
            )

        if chosen and len(X) < 2:
            what = f"bandwidth {criterion}" if self.neighbors is None else f"neighbors {self.neighbors}"
            raise ValueError(f"{what} needs at least two samples, got n_samples=1")
        self.bandwidth_: Any = None
        self.neighbors_: Optional[int] = None
        if self.neighbors is not None:
            if not chosen or criterion == "plugin" or self.bandwidths is not None:
                raise ValueError(
                    "neighbors replace the bandwidth: leave bandwidths out, and give a criterion or nothing"
                )
            self._model = model(neighbors=self.neighbors)
            self.neighbors_ = self._model.neighbors
        elif not chosen:
            self._model = model(self.bandwidth)
            self.bandwidth_ = self._model.scales if numpy.ndim(self.bandwidth) else float(self.bandwidth)  # type: ignore[arg-type]
        elif self.bandwidths is not None and criterion == "plugin":
            raise ValueError("bandwidth plugin chooses among no candidates: leave bandwidths out")
        elif self.bandwidths is not None:
            self.bandwidths_ = numpy.array([float(h) for h in self.bandwidths])
            if not len(self.bandwidths_):
                raise ValueError("bandwidths must not be empty")
            self.errors_ = numpy.array([model(h).criterion(criterion, self.threads) for h in self.bandwidths_])
            if not numpy.isfinite(self.errors_).any():
                raise ValueError(f"bandwidths: {criterion} is infinite at each of {list(self.bandwidths_)}")
            self.bandwidth_ = float(self.bandwidths_[int(numpy.nanargmin(self.errors_))])
            self._model = model(self.bandwidth_)
        else:
            self._model = model()
            self.bandwidth_ = self._model.scales
        self._mean = numpy.average(targets, axis=0, weights=counts)

    def _queries(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self, "_model")
        return validate_data(self, X, dtype=numpy.float64, order="C", reset=False)  # type: ignore[no-any-return]

    def criterion(self, name: str = "loo") -> float:
        """A criterion of the fit to its training points: "loo", "gcv" or "aicc"."""
        check_is_fitted(self, "_model")
        return self._model.criterion(name, self.threads)

    def empty_rows(self, X: ArrayLike) -> NDArray[numpy.int64]:
        """Indices of the rows of X without any training point within the bandwidth: there the data say nothing."""
        queries = self._queries(X)
        return self._model.predict(queries, self.threads)[1]


class KernelRegressor(RegressorMixin, MultiOutputMixin, _KernelEstimator):  # type: ignore[misc]
    """y(x): the value at x of the polynomial that is fitted to the training points (x_j, y_j) by least squares with the weights
    kernel(u_j), u_j^2 = sum_d ((x_jd - x_d) / h_d)^2 (Stone 1977; Cleveland 1979; Fan and Gijbels 1996). Degree 0 is the
    weighted mean of Nadaraya (1964) and Watson (1964).

    Bandwidths are chosen by a quasi-Newton search with exact gradients, one for each column: columns need no scaling.
    Cost: O(n) for each prediction and O(n^2) for each step of the search, and O(points within the bandwidth) in their place for
    a compact kernel in up to three columns. The search begins on a sample of 2,000 points; of 100,000 or more, it ends on samples
    of 50,000.

    Parameters
    ----------
    kernel
        "biweight" ([1 - u^2]_+^2), "epanechnikov" ([1 - u^2]_+), "triweight" (its power 3), "polynomial" (its power
        `exponent`), "uniform" ([u < 1]), "gaussian" (exp(-u^2/2)), or an object such as RectifiedPower(alpha=1.3).
    bandwidth
        "loo", "gcv" or "aicc": those that minimize the leave-one-out error, generalized cross-validation or the corrected
        AIC (Hurvich, Simonoff and Tsai 1998); "plugin" for one column: the rule of Ruppert, Sheather and Wand (1995). Or h > 0 for all columns, or one for each, in the units of X.
    degree
        Of the polynomial, 0 to 3; 2 and 3 for up to three columns.
    neighbors
        In place of the bandwidth, the distance to the (neighbors + 1)-th nearest point, columns divided by their standard
        deviations; for compact kernels. Of several numbers, the criterion `bandwidth` chooses one.
    ridge
        On the coefficients of the polynomial but its constant, offsets in units of the bandwidth: where a fit sees fewer
        points than coefficients, it chooses the flattest polynomial.
    exponent
        Of the kernel "polynomial".
    unordered, ordered
        Indices of the columns of X that hold categories, as numbers: another category counts lambda times as much, or
        lambda^|difference| in ordered columns (Li and Racine 2004). `bandwidth_` has 0 <= lambda <= 1 for them; the polynomial is
        of the other columns.
    bandwidths
        Candidates, each for all columns, in place of the search.
    empty_value
        Prediction where no training point is within the bandwidth: "mean", that of the training targets, or a number,
        which may be NaN. `empty_rows` tells which rows those are.
    threads
        The number of threads; all cores unless given. Results do not depend on it.

    Attributes
    ----------
    bandwidth_
        The bandwidths in use: an array with one for each column, a number where one was given for all, None with neighbors.
    neighbors_
        The number of neighbors in use, or None.
    bandwidths_, errors_
        Candidates and their criterion. Under "loo", a point without a neighbor counts as if its residual were twice the
        standard deviation of y.
    """

    def __init__(
        self,
        kernel: Union[str, Kernel] = "biweight",
        bandwidth: Union[float, str, Sequence[float]] = "loo",
        *,
        degree: int = 1,
        neighbors: Union[int, Sequence[int], None] = None,
        ridge: float = 1e-10,
        exponent: Optional[float] = None,
        unordered: Optional[Sequence[int]] = None,
        ordered: Optional[Sequence[int]] = None,
        bandwidths: Optional[Sequence[float]] = None,
        empty_value: Union[str, float] = "mean",
        threads: Optional[int] = None,
    ) -> None:
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.degree = degree
        self.neighbors = neighbors
        self.ridge = ridge
        self.exponent = exponent
        self.unordered = unordered
        self.ordered = ordered
        self.bandwidths = bandwidths
        self.empty_value = empty_value
        self.threads = threads

    def fit(self, X: ArrayLike, y: ArrayLike, weights: Optional[ArrayLike] = None) -> KernelRegressor:
        """X [n, d], y [n] or [n, outputs], weights [n]: by which the squared error of a sample counts. Keeps copies.

        They are not called sample_weight, which for scikit-learn says how often a sample is there: a criterion leaves out a
        sample with all its weight, and a neighbor is one whatever its weight. With a bandwidth of your own the two are the same.
        """
        if isinstance(self.empty_value, str) and self.empty_value != "mean":
            raise ValueError(f'empty_value must be "mean" or a number, got {self.empty_value!r}')
        points, targets = validate_data(self, X, y, dtype=numpy.float64, order="C", multi_output=True, y_numeric=True)
        self._one_output = targets.ndim == 1
        targets = numpy.ascontiguousarray(targets.reshape(len(targets), -1), dtype=numpy.float64)
        self._fit_points(points, targets, weights, self.degree, self.ridge)
        return self

    def predict(
        self, X: ArrayLike, return_std: bool = False, return_interval: Union[bool, str] = False, level: float = 0.95
    ) -> Any:
        """X [m, d] -> [m], or [m, outputs].

        With return_std also the standard errors of the fit, of the same shape, robust against unequal variances; with
        return_interval also its confidence intervals of that level, lower and upper ends along a last axis: pointwise ones with
        True or "pointwise", with "simultaneous" ones that hold at all rows of X together. The bias of the fit is not in them. Rows without any training point within the bandwidth have infinite ones.
        """
        if return_interval not in (False, True, "pointwise", "simultaneous"):
            raise ValueError(f'return_interval must be False, True, "pointwise" or "simultaneous", got {return_interval!r}')
        queries = self._queries(X)
        if not (return_std or return_interval):
            values, empty = self._model.predict(queries, self.threads)
            return self._shaped(self._filled(values, empty))
        intervals = self._model.bands if return_interval == "simultaneous" else self._model.intervals
        values, errors, lower, upper, empty = intervals(queries, level, self.threads)
        result: tuple[NDArray[Any], ...] = (self._shaped(self._filled(values, empty)),)
        if return_std:
            result += (self._shaped(errors),)
        if return_interval:
            result += (numpy.stack([self._shaped(lower), self._shaped(upper)], axis=-1),)
        return result

    def slopes(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Derivatives of the fit by each column that holds no categories, [m, d] or [m, outputs, d], NaN where no training point is within the bandwidth;
        with return_std also their standard errors. Degree >= 1."""
        queries = self._queries(X)
        values, errors, empty = self._model.slopes(queries, self.threads)
        slopes = numpy.stack([self._shaped(one) for one in values], axis=-1)
        slopes[empty] = numpy.nan
        return (slopes, numpy.stack([self._shaped(one) for one in errors], axis=-1)) if return_std else slopes

    def diagnose(self) -> RegressionDiagnostics:
        """The fit on its own data: residuals, leverages, degrees of freedom, variances, R^2."""
        check_is_fitted(self, "_model")
        fitted, residuals, leverage, noise, *rest = self._model.diagnose(self.threads)
        return RegressionDiagnostics(
            self._shaped(fitted), self._shaped(residuals), leverage, self._shaped(noise), *rest
        )

    def _filled(self, values: NDArray[Any], empty: NDArray[Any]) -> NDArray[Any]:
        if len(empty):
            values[empty] = self._mean if isinstance(self.empty_value, str) else self.empty_value
        return values

    def _shaped(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.ravel() if self._one_output else values


class KernelClassifier(ClassifierMixin, _KernelEstimator):  # type: ignore[misc]
    """Class probabilities: the kernel-weighted frequencies of the classes, that is regression of degree 0 of the classes'
    indicators; parameters and attributes as of KernelRegressor.

    A row without any training point within the bandwidth gets the frequencies of the classes. "loo" minimizes the
    leave-one-out Brier score.
    """

    def __init__(
        self,
        kernel: Union[str, Kernel] = "biweight",
        bandwidth: Union[float, str, Sequence[float]] = "loo",
        *,
        neighbors: Union[int, Sequence[int], None] = None,
        exponent: Optional[float] = None,
        unordered: Optional[Sequence[int]] = None,
        ordered: Optional[Sequence[int]] = None,
        bandwidths: Optional[Sequence[float]] = None,
        threads: Optional[int] = None,
    ) -> None:
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.neighbors = neighbors
        self.exponent = exponent
        self.unordered = unordered
        self.ordered = ordered
        self.bandwidths = bandwidths
        self.threads = threads

    def fit(self, X: ArrayLike, y: ArrayLike, weights: Optional[ArrayLike] = None) -> KernelClassifier:
        """X [n, d], y [n] of any labels, weights [n] as in KernelRegressor.fit. Keeps a copy."""
        points, labels = validate_data(self, X, y, dtype=numpy.float64, order="C")
        check_classification_targets(labels)
        self.classes_, labels = numpy.unique(labels, return_inverse=True)
        self._fit_points(points, numpy.eye(len(self.classes_))[labels], weights, degree=0)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """X [m, d] -> [m, classes], in the order of classes_."""
        queries = self._queries(X)
        values, empty = self._model.predict(queries, self.threads)
        values[empty] = self._mean
        return values

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """X [m, d] -> [m]: the class of largest probability, the first of equals."""
        check_is_fitted(self, "_model")
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels
