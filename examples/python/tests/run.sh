#!/bin/sh
# run.sh <python> <folder> <compiler> <cmake> <build> [launcher]: installs the package in a virtual environment in the folder,
# with the library of the build, and runs its tests there. Exits with 77, for a test that is skipped, where Python's packages
# cannot be had.
set -eu
python=$1
folder=$2
compiler=$3
cmake=$4
build=$5
launcher=${6:-}
source=$(cd "$(dirname "$0")/.." && pwd)

skip() {
  echo "skipped: $1"
  exit 77
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "Python 3.10 or newer is needed"
if [ ! -x "$folder/bin/pip" ]; then
  "$python" -m venv "$folder" > /dev/null 2>&1 || skip "a virtual environment cannot be made (Debian: python3-venv)"
fi
"$folder/bin/python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
  || skip "Python's headers are not installed (Debian: python3-dev)"
"$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 \
  scikit-build-core nanobind numpy scipy scikit-learn ml_dtypes pytest ninja \
  || skip "the packages that the build and the tests need cannot be installed"

PATH="$folder/bin:$PATH"
export PATH
rm -rf "$folder/library"
"$cmake" --install "$build" --prefix "$folder/library" > /dev/null
# -O1: half the time of -O2, and the tests measure nothing.
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall \
  "$source" "-Cbuild-dir=$folder/build" "-Ccmake.define.CMAKE_CXX_COMPILER=$compiler" -Ccmake.define.NADARAYA_WERROR=ON \
  "-Ccmake.define.NADARAYA_LIBRARY_PREFIX=$folder/library" \
  "-Ccmake.define.CMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG" \
  ${launcher:+"-Ccmake.define.CMAKE_CXX_COMPILER_LAUNCHER=$launcher"}
cd "$folder"
PYTHONDONTWRITEBYTECODE=1 "$folder/bin/python" -m pytest -q -p no:cacheprovider --rootdir "$source" "$source/tests"
