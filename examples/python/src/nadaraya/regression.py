"""Kernel regression and classification for scikit-learn, which this module needs."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

import numpy
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _core
from ._attention import _name
from ._policies import Kernel

__all__ = ["KernelClassifier", "KernelRegressor"]


class _KernelEstimator(BaseEstimator):  # type: ignore[misc]
    """Points with targets, and the bandwidth."""

    def __init__(
        self,
        kernel: Union[str, Kernel] = "gaussian",
        bandwidth: Union[float, str] = "loo",
        *,
        exponent: Optional[float] = None,
        bandwidths: Optional[Sequence[float]] = None,
        threads: Optional[int] = None,
    ) -> None:
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.exponent = exponent
        self.bandwidths = bandwidths
        self.threads = threads

    def _kernel(self) -> tuple[str, Optional[float], Optional[float]]:
        parameters: dict[str, Any] = dict(exponent=self.exponent, alpha=None)
        kernel = self.kernel
        name = kernel if isinstance(kernel, str) else _name("kernel", kernel, Kernel, parameters)
        return name, parameters["exponent"], parameters["alpha"]

    def _fit_points(self, X: NDArray[Any], targets: NDArray[Any]) -> None:
        """Keeps copies, and chooses the bandwidth."""
        self._X = numpy.array(X, dtype=numpy.float64, order="C")
        self._targets = numpy.array(targets, dtype=numpy.float64, order="C")
        if not isinstance(self.bandwidth, str):
            self.bandwidth_ = float(self.bandwidth)
            return
        if self.bandwidth != "loo":
            raise ValueError(f'bandwidth must be a number or "loo", got {self.bandwidth!r}')
        if len(X) < 2:
            raise ValueError("bandwidth loo needs at least two samples, got n_samples=1")
        candidates = self._candidates() if self.bandwidths is None else [float(h) for h in self.bandwidths]
        self.errors_ = numpy.array(
            [_core.leave_one_out_error(self._X, self._targets, *self._kernel(), h, self.threads) for h in candidates]
        )
        self.bandwidths_ = numpy.array(candidates)
        if not numpy.isfinite(self.errors_).any():
            raise ValueError(f"bandwidths: at each of {candidates} some point has no other within the bandwidth")
        self.bandwidth_ = float(candidates[int(numpy.nanargmin(self.errors_))])

    def _candidates(self) -> list[float]:
        """25 bandwidths, up to one within which every point lies."""
        diagonal = float(numpy.linalg.norm(numpy.ptp(self._X, axis=0)))
        return list(numpy.geomspace(1e-3, 1.001, 25) * diagonal) if diagonal > 0 else [1.0]

    def _regress(self, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        check_is_fitted(self, "bandwidth_")
        queries = validate_data(self, X, dtype=numpy.float64, order="C", reset=False)
        return _core.regress(queries, self._X, self._targets, *self._kernel(), self.bandwidth_, self.threads)

    def empty_rows(self, X: ArrayLike) -> NDArray[numpy.int64]:
        """Indices of the rows of X without any training point within the bandwidth: there the data say nothing."""
        return self._regress(X)[1]


class KernelRegressor(RegressorMixin, MultiOutputMixin, _KernelEstimator):  # type: ignore[misc]
    """y(x) = sum_j kernel(|x - x_j| / h) y_j / sum_j kernel(|x - x_j| / h) (Nadaraya 1964; Watson 1964).

    One bandwidth holds for all columns of X: scale them first, as with StandardScaler in a pipeline.
    Cost: O(n d) for each prediction, O(n^2 d) for each candidate of "loo", and less for a compact kernel in up to three
    dimensions.

    Parameters
    ----------
    kernel
        "gaussian" (exp(-u^2/2)), "epanechnikov" ([1 - u^2]_+), "biweight", "triweight" (its powers 2 and 3),
        "polynomial" (its power `exponent`), "uniform" ([u < 1]), or an object such as RectifiedPower(alpha=1.3).
    bandwidth
        h > 0, in the units of X, or "loo": the one of `bandwidths` with the smallest leave-one-out error.
    exponent
        Of the kernel "polynomial".
    bandwidths
        Candidates of "loo"; unless given, 25 from a thousandth of the diagonal of the data's bounding box to all of it.
    empty_value
        Prediction where no training point is within the bandwidth: "mean", that of the training targets, or a number,
        which may be NaN. `empty_rows` tells which rows those are.
    threads
        The number of threads; all cores unless given.

    Attributes
    ----------
    bandwidth_
        The bandwidth in use.
    bandwidths_, errors_
        Candidates and their leave-one-out errors, mean squared, +inf where a point has no other within the bandwidth.
    """

    def __init__(
        self,
        kernel: Union[str, Kernel] = "gaussian",
        bandwidth: Union[float, str] = "loo",
        *,
        exponent: Optional[float] = None,
        bandwidths: Optional[Sequence[float]] = None,
        empty_value: Union[str, float] = "mean",
        threads: Optional[int] = None,
    ) -> None:
        super().__init__(kernel, bandwidth, exponent=exponent, bandwidths=bandwidths, threads=threads)
        self.empty_value = empty_value

    def fit(self, X: ArrayLike, y: ArrayLike) -> KernelRegressor:
        """X [n, d], y [n] or [n, outputs]. Keeps copies."""
        if isinstance(self.empty_value, str) and self.empty_value != "mean":
            raise ValueError(f'empty_value must be "mean" or a number, got {self.empty_value!r}')
        points, targets = validate_data(self, X, y, dtype=numpy.float64, order="C", multi_output=True, y_numeric=True)
        self._one_output = targets.ndim == 1
        self._fit_points(points, targets.reshape(len(targets), -1))
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """X [m, d] -> [m], or [m, outputs]."""
        values, empty = self._regress(X)
        if len(empty):
            values[empty] = self._targets.mean(axis=0) if self.empty_value == "mean" else self.empty_value
        return values.ravel() if self._one_output else values


class KernelClassifier(ClassifierMixin, _KernelEstimator):  # type: ignore[misc]
    """Class probabilities by kernel regression of the classes' indicators; parameters as of KernelRegressor.

    A row without any training point within the bandwidth gets the frequencies of the classes. "loo" minimizes the
    leave-one-out Brier score.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> KernelClassifier:
        """X [n, d], y [n] of any labels. Keeps a copy."""
        points, labels = validate_data(self, X, y, dtype=numpy.float64, order="C")
        check_classification_targets(labels)
        self.classes_, labels = numpy.unique(labels, return_inverse=True)
        self._fit_points(points, numpy.eye(len(self.classes_))[labels])
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """X [m, d] -> [m, classes], in the order of classes_."""
        values, empty = self._regress(X)
        if len(empty):
            values[empty] = self._targets.mean(axis=0)
        return values

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """X [m, d] -> [m]: the class of largest probability, the first of equals."""
        check_is_fitted(self, "bandwidth_")
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels
