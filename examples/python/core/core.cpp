// The extension module nadaraya._core: what the package's Python code is written on.
#include "operator.hpp"

#include <nadaraya/version.hpp>

namespace nb = nanobind;

NB_MODULE(_core, m) {
  m.doc() = "The compiled part of nadaraya. Its interface may change; use the functions of the package.";
  m.attr("version") = nb::make_tuple(NADARAYA_VERSION_MAJOR, NADARAYA_VERSION_MINOR, NADARAYA_VERSION_PATCH);
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const program::UsageError& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    }
  });
  binding::bind_cache(m);
  binding::bind_operator(m);
  binding::bind_rows(m);
  binding::bind_regression(m);
}
