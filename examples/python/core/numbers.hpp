// Numbers of Python: parameters that may differ from head to head, and whole ones.
#pragma once

#include "../../support/usage.hpp"

#include <nadaraya/types.hpp>

#include <nanobind/nanobind.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace binding {

namespace nb = nanobind;
using nadaraya::Index;

/// A whole number, of whatever type.
inline Index integer(const char* name, nb::handle object) {
  const nb::object index = nb::steal(PyNumber_Index(object.ptr()));
  const long long value = index.is_valid() ? PyLong_AsLongLong(index.ptr()) : -1;
  if (PyErr_Occurred()) {
    const bool too_large = index.is_valid();
    PyErr_Clear();
    if (too_large) program::refuse(std::string(name) + " is out of range");
    throw nb::type_error((std::string(name) + " must be an integer").c_str());
  }
  return static_cast<Index>(value);
}

/// A parameter that is not given, one number for all query heads, or one for each.
class PerHead {
 public:
  PerHead() = default;
  PerHead(const char* name, nb::handle object) : given_(!object.is_none()) {
    if (!given_) return;
    PyObject* const number = object.ptr();
    const bool plain = PyFloat_Check(number) || PyLong_Check(number);
    const Py_ssize_t size = plain || !PySequence_Check(number) ? -1 : PySequence_Size(number);
    PyErr_Clear();  // a 0-dimensional array has no size
    each_ = size >= 0;
    for (Py_ssize_t i = 0; i < (std::max)(size, Py_ssize_t(each_ ? 0 : 1)); ++i) {
      const nb::object item = each_ ? nb::steal(PySequence_GetItem(number, i)) : nb::borrow(object);
      values_.push_back(item.is_valid() ? PyFloat_AsDouble(item.ptr()) : -1.0);
      if (PyErr_Occurred()) {
        PyErr_Clear();
        throw nb::type_error(
            (std::string(name) + " must be a number, or a sequence of one for each query head").c_str());
      }
    }
  }

  bool given() const { return given_; }
  bool for_each_head() const { return each_; }
  std::size_t size() const { return values_.size(); }
  double at(Index head) const { return values_[each_ ? static_cast<std::size_t>(head) : 0]; }
  std::optional<double> value(Index head) const { return given_ ? std::optional<double>(at(head)) : std::nullopt; }

  void check(const char* name, Index heads) const {
    if (each_ && static_cast<Index>(values_.size()) != heads) {
      program::refuse(std::string(name) + " must be one number or one for each of " + std::to_string(heads) +
                      " query heads, got " + std::to_string(values_.size()));
    }
  }

 private:
  bool given_ = false;
  bool each_ = false;
  std::vector<double> values_;
};

}  // namespace binding
