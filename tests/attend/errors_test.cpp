// What the program refuses: each mistake is named in one line, and leaves no trace.
#include "tests/attend/program.hpp"

#include <string>
#include <vector>

using namespace nadaraya::test;

namespace {

using Shape = std::vector<std::size_t>;

/// One batch entry, two query heads that share a key head, five queries and four keys.
void put_inputs(const Folder& folder) {
  const auto put = [&](const std::string& name, const Shape& shape) {
    npy::write(folder / (name + ".npy"), npy::zeros<double>(shape));
  };
  const auto put_single = [&](const std::string& name, const Shape& shape) {
    npy::write(folder / (name + ".npy"), npy::zeros<float>(shape));
  };
  put("q", {1, 2, 5, 3});
  put("k", {1, 1, 4, 3});
  put("v", {1, 1, 4, 2});
  put("g", {1, 2, 5, 2});

  put_single("q_single", {1, 2, 5, 3});
  put_single("k_single", {1, 1, 4, 3});
  put_single("v_single", {1, 1, 4, 2});
  put_single("g_single", {1, 2, 5, 2});
  put("q_flat", {5, 3});
  put("k_flat", {4, 3});
  put("v_flat", {4, 2});
  put("g_flat", {5, 2});
  put("scalar", {});
  put("line", {5});
  put("cube", {2, 5, 3});
  put("k_narrow", {1, 1, 4, 2});
  put("k_batch", {2, 1, 4, 3});
  put("v_batch", {2, 1, 4, 2});
  put("k_heads", {1, 3, 4, 3});
  put("v_heads", {1, 3, 4, 2});
  put("k_no_heads", {1, 0, 4, 3});
  put("v_no_heads", {1, 0, 4, 2});
  put("v_short", {1, 1, 3, 2});
  put("g_wide", {1, 2, 5, 3});
  put("q_long", {std::size_t{1} << 40, 0});
  put("k_none", {0, 0});
  put("v_long", {0, std::size_t{1} << 40});
}

/// Files that are no arrays, or not ours.
void put_malformed(const Folder& folder) {
  const std::string good = folder.content("q_flat.npy");
  const auto put = [&](const std::string& name, const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    folder.put(name + ".npy", text);
  };
  folder.put("empty.npy", "");
  folder.put("no_header.npy", good.substr(0, 50));
  folder.put("no_data.npy", good.substr(0, good.size() - 1));
  folder.put("more_data.npy", good + "x");
  put("magic", "NUMPY", "NUMPI");
  put("version", "NUMPY\x01", "NUMPY\x09");
  put("int64", "<f8", "<i8");
  put("negative", "(5, 3", "(-5,3");
  put("overflow", "(5, 3, ), }               ", "(9223372036854775808,3),} ");
  put("no_shape", "'shape'", "'shapr'");
}

const Arguments valid = {"query=q.npy",    "key=k.npy",       "value=v.npy", "grad-output=g.npy",
                         "output-dir=out", "kernel=biweight", "threads=2"};

struct Row {
  std::vector<std::string> changes;
  std::string reason;
};

/// Each row twice: where there is no output folder yet, and where there is one with files of an earlier run.
void check(const std::vector<Row>& rows) {
  const Folder folder;
  put_inputs(folder);
  put_malformed(folder);
  folder.put("occupied", "a file");
  fs::create_directory(folder / "folder");
  fs::create_directory(folder / "earlier");
  for (const std::string name : {"out", "grad_query", "grad_key", "grad_value"}) {
    folder.put("earlier/" + name + ".npy", "earlier " + name);
  }
  for (const Row& row : rows) {
    require_refused(folder, valid.with(row.changes).text(), row.reason);
    require_refused(folder, valid.with({"output-dir=earlier"}).with(row.changes).text(), row.reason);
  }
  // The arguments that the rows change are right.
  require_success(folder, valid.text());
}

}  // namespace

TEST_CASE("files that cannot be used are refused", "[program]") {
  std::vector<Row> rows;
  for (const std::string name : {"query", "key", "value", "grad-output"}) {
    const auto row = [&](const std::string& path, const std::string& reason) {
      rows.push_back(Row{{name + "=" + path}, "--" + name + " " + path + ": " + reason});
    };
    row("missing.npy", "it cannot be opened: No such file or directory");
    row("", "it cannot be opened");
    row("folder", "it cannot be read: Is a directory");
    row("occupied/below.npy", "it cannot be opened: Not a directory");
    row("empty.npy", "it is truncated");
    row("no_header.npy", "it is truncated");
    row("no_data.npy", "it is truncated");
    row("more_data.npy", "it is longer than its shape");
    row("magic.npy", "it is not a .npy file");
    row("version.npy", "its .npy version is unknown");
    row("int64.npy", "its elements are neither float32 nor float64");
    row("negative.npy", "its shape is malformed");
    row("overflow.npy", "its shape overflows");
    row("no_shape.npy", "its header is malformed");
    row("scalar.npy", "it must be [N, D] or [batch, heads, N, D], and has 0 dimensions");
    row("line.npy", "it must be [N, D] or [batch, heads, N, D], and has 1 dimension");
    row("cube.npy", "it must be [N, D] or [batch, heads, N, D], and has 3 dimensions");
  }
  check(rows);
}

TEST_CASE("options that are missing, unknown or out of range are refused", "[program]") {
  check({
      {{"!query"}, "--query is required"},
      {{"!key"}, "--key is required"},
      {{"!value"}, "--value is required"},
      {{"!output-dir"}, "--output-dir is required"},
      {{"!kernel"}, "--kernel is required"},
      {{"kernel=box"}, "--kernel: box"},
      {{"kernel="}, "--kernel: "},
      {{"kernel=Biweight"}, "--kernel: Biweight"},
      {{"kernel=two\nlines"}, "--kernel: two lines"},
      {{"normalization=softmax"}, "--normalization: softmax"},
      {{"similarity=manhattan"}, "--similarity: manhattan"},
      {{"mask=block"}, "--mask: block"},
      {{"tile=4"}, "--tile"},
      {{"stray"}, "stray"},
      {{"'stray\r\nline'"}, "stray  line"},
      {{"--kernel biweight"}, "--kernel"},
      {{"--exponent"}, "--exponent"},
      {{"threads=many"}, "--threads = many"},
      {{"threads=1.5"}, "--threads = 1.5"},
      {{"threads=99999999999"}, "--threads = 99999999999"},
      {{"threads=0"}, "--threads must be at least 1"},
      {{"threads=-1"}, "--threads must be at least 1"},
      {{"threads=4097"}, "--threads must be at most 4096"},
      {{"kernel=polynomial"}, "--kernel polynomial needs --exponent or --alpha"},
      {{"exponent=2"}, "--exponent or --alpha goes with --kernel polynomial only"},
      {{"alpha=1.5"}, "--exponent or --alpha goes with --kernel polynomial only"},
      {{"kernel=polynomial", "exponent=2", "alpha=1.5"}, "give one"},
      {{"kernel=polynomial", "exponent=nan"}, "--exponent must be positive and finite"},
      {{"kernel=polynomial", "exponent=inf"}, "--exponent must be positive and finite"},
      {{"kernel=polynomial", "exponent=0"}, "--exponent must be positive and finite"},
      {{"kernel=polynomial", "exponent=-1"}, "--exponent must be positive and finite"},
      {{"kernel=polynomial", "exponent=1e400"}, "--exponent"},
      {{"kernel=polynomial", "exponent=two"}, "--exponent = two"},
      {{"kernel=polynomial", "alpha=1"}, "--alpha must be finite and exceed 1"},
      {{"kernel=polynomial", "alpha=nan"}, "--alpha must be finite and exceed 1"},
      {{"kernel=polynomial", "alpha=inf"}, "--alpha must be finite and exceed 1"},
      {{"normalization=fixed", "similarity=cosine"}, "--normalization fixed, anchored or unnormalized needs --bandwidth"},
      {{"normalization=anchored"}, "--normalization fixed, anchored or unnormalized needs --bandwidth"},
      {{"bandwidth=1"}, "--bandwidth goes with --normalization fixed, anchored or unnormalized only"},
      {{"normalization=unnormalized", "similarity=cosine"}, "--normalization fixed, anchored or unnormalized needs --bandwidth"},
      {{"mass=1"}, "--mass goes with --normalization unnormalized only"},
      {{"normalization=unnormalized", "similarity=cosine", "bandwidth=1", "mass=0"}, "--mass must be positive and finite"},
      {{"normalization=anchored", "bandwidth=0"}, "--bandwidth must be positive and finite"},
      {{"normalization=anchored", "bandwidth=-1"}, "--bandwidth must be positive and finite"},
      {{"normalization=anchored", "bandwidth=nan"}, "--bandwidth must be positive and finite"},
      {{"normalization=anchored", "bandwidth=inf"}, "--bandwidth must be positive and finite"},
      {{"normalization=anchored", "bandwidth=1e-300"}, "--bandwidth 1e-300: bandwidth must be positive, with a square"},
      {{"normalization=anchored", "bandwidth=1e300", "scale=2"}, "--bandwidth 1e+300 --scale 2: bandwidth must be positive, with a square"},
      {{"normalization=nearest", "similarity=cosine"}, "--normalization nearest needs --neighbors"},
      {{"neighbors=2"}, "--neighbors goes with --normalization nearest only"},
      {{"normalization=nearest", "similarity=cosine", "neighbors=0"}, "--neighbors must be at least 1"},
      {{"normalization=nearest", "similarity=cosine", "neighbors=-3"}, "--neighbors must be at least 1"},
      {{"scale=nan"}, "--scale must be finite"},
      {{"scale=-inf"}, "--scale must be finite"},
      {{"similarity=cosine", "scale=0"}, "--scale must be positive with --similarity cosine"},
      {{"similarity=euclidean", "scale=-1"}, "--scale must be positive with --similarity euclidean"},
      {{"mask=window"}, "--mask window needs --window"},
      {{"mask=causal", "window=2"}, "--window goes with --mask window only"},
      {{"mix=square"}, "--mix: square not in"},
      {{"ridge=1"}, "--ridge goes with --mix linear, quadratic or cubic only"},
      {{"mix=linear", "ridge=0"}, "--ridge must be positive and finite, got 0"},
      {{"mask=window", "window=0"}, "--window must be at least 1"},
      {{"mask=window", "window=-2"}, "--window must be at least 1"},
  });
}

TEST_CASE("numbers that float32 does not hold are refused for float32 alone", "[program]") {
  const std::vector<std::string> single = {"query=q_single.npy", "key=k_single.npy", "value=v_single.npy", "grad-output=g_single.npy"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), single.begin(), single.end());
    return more;
  };
  check({
      {with({"scale=1e300"}), "--scale 1e+300 is out of the range of float32"},
      {with({"scale=-1e-300"}), "--scale -1e-300 is out of the range of float32"},
      {with({"kernel=polynomial", "exponent=1e300"}), "--exponent 1e+300 is out of the range of float32"},
      {with({"kernel=polynomial", "alpha=1e300"}), "--alpha 1e+300 is out of the range of float32"},
      {with({"normalization=anchored", "bandwidth=1e30"}), "--bandwidth 1e+30: bandwidth must be positive, with a square"},
  });
  const Folder folder;
  put_inputs(folder);
  require_success(folder, valid.with({"scale=1e300"}).text());
}

TEST_CASE("combinations without a meaning are refused", "[program]") {
  check({
      {{"kernel=uniform"}, "--kernel uniform has no --normalization adaptive"},
      {{"normalization=fixed", "bandwidth=1"}, "--normalization fixed compares distances"},
      {{"normalization=unnormalized", "bandwidth=1"}, "--normalization unnormalized compares distances"},
      {{"kernel=gaussian", "normalization=fixed", "bandwidth=1"}, "--normalization fixed compares distances"},
      {{"normalization=nearest", "neighbors=2"}, "the bandwidth of --kernel biweight"},
      {{"kernel=polynomial", "exponent=2", "normalization=nearest", "neighbors=2"}, "of --kernel polynomial"},
  });
}

TEST_CASE("arrays that do not fit together are refused, with their shapes", "[program]") {
  check({
      {{"key=k_single.npy"}, "--query and --key must both be float32 or both float64"},
      {{"value=v_single.npy"}, "--query and --value must both be float32 or both float64"},
      {{"grad-output=g_single.npy"}, "--query and --grad-output must both be float32 or both float64"},
      {{"query=q_single.npy"}, "--query and --key must both be float32 or both float64"},
      {{"key=k_flat.npy"}, "the same number of dimensions: [1, 2, 5, 3] and [4, 3]"},
      {{"value=v_flat.npy"}, "the same number of dimensions: [1, 2, 5, 3] and [4, 2]"},
      {{"grad-output=g_flat.npy"}, "the same number of dimensions: [1, 2, 5, 3] and [5, 2]"},
      {{"query=q_flat.npy"}, "the same number of dimensions: [5, 3] and [1, 1, 4, 3]"},
      {{"key=k_narrow.npy"}, "the same last dimension: [1, 2, 5, 3] and [1, 1, 4, 2]"},
      {{"key=k_batch.npy", "value=v_batch.npy"}, "the same batch size: [1, 2, 5, 3] and [2, 1, 4, 3]"},
      {{"value=v_batch.npy"}, "in all but the last dimension: [1, 1, 4, 3] and [2, 1, 4, 2]"},
      {{"value=v_heads.npy"}, "in all but the last dimension: [1, 1, 4, 3] and [1, 3, 4, 2]"},
      {{"value=v_short.npy"}, "in all but the last dimension: [1, 1, 4, 3] and [1, 1, 3, 2]"},
      {{"key=k_heads.npy", "value=v_heads.npy"}, "must be a multiple of those of --key: [1, 2, 5, 3] and [1, 3, 4, 3]"},
      {{"key=k_no_heads.npy", "value=v_no_heads.npy"}, "must be a multiple of those of --key"},
      {{"grad-output=g_wide.npy"}, "the shape of the output, [1, 2, 5, 2], got [1, 2, 5, 3]"},
      {{"query=q_flat.npy", "key=k_flat.npy", "value=v_flat.npy", "grad-output=k_flat.npy"},
       "the shape of the output, [5, 2], got [4, 3]"},
      {{"query=q_long.npy", "key=k_none.npy", "value=v_long.npy", "!grad-output"}, "a result is too large"},
  });
}

TEST_CASE("an output folder that cannot be made is refused", "[program]") {
  check({
      {{"output-dir="}, "it cannot be made"},
      {{"output-dir=occupied"}, "--output-dir occupied: it cannot be made, or is no folder"},
      {{"output-dir=occupied/out"}, "--output-dir occupied/out: it cannot be made, or is no folder: Not a directory"},
  });
}

TEST_CASE("a file that cannot be written leaves none of the others behind", "[program]") {
  const Folder folder;
  put_inputs(folder);
  fs::create_directories(folder / "blocked/grad_value.npy");
  folder.put("blocked/out.npy", "earlier");
  require_refused(folder, valid.with({"output-dir=blocked"}).text(), "grad_value.npy: it is a folder");

  // A limit on the size of files stands in for a full disk: 512 or 1024 bytes, of which the line on
  // standard error needs some. A build that counts lines must not write its counts under it.
  npy::write(folder / "q_large.npy", npy::zeros<double>({500, 3}));
  const Arguments large = {"query=q_large.npy", "key=k_flat.npy", "value=v_flat.npy", "kernel=biweight"};
  const std::string full = "trap '' XFSZ; ulimit -f 1; LLVM_PROFILE_FILE=/dev/null";
  fs::create_directory(folder / "earlier");
  folder.put("earlier/out.npy", "earlier");
  for (const std::string out : {"out", "new/folders/out", "new/slash/", "earlier"}) {
    require_refused(folder, large.with({"output-dir=" + out}).text(), "out.npy: it cannot be written", full);
  }
  if (fs::exists("/dev/full")) {
    require_refused(folder, valid.text(), "standard output cannot be written", "", "> /dev/full");
  }
}
