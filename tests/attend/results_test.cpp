// What the program computes: the library's results, for every head, on any number of threads.
#include <nadaraya/nadaraya.hpp>

#include "tests/attend/program.hpp"
#include "tests/support/close.hpp"
#include "tests/support/random.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace nadaraya;
using namespace nadaraya::test;

namespace {

template <class Scalar>
npy::Array normal(std::uint64_t seed, const std::vector<std::size_t>& shape) {
  Random random(seed);
  npy::Array array = npy::zeros<Scalar>(shape);
  for (std::size_t i = 0; i < npy::count(shape, 8); ++i) array.data<Scalar>()[i] = static_cast<Scalar>(random.normal());
  return array;
}

/// The head-th matrix of an array, all batch entries counted through.
template <class Scalar>
RowMatrix<Scalar> head(const npy::Array& array, Index head) {
  const auto rows = static_cast<Index>(array.shape[array.shape.size() - 2]);
  const auto cols = static_cast<Index>(array.shape.back());
  return Eigen::Map<const RowMatrix<Scalar>>(array.data<Scalar>() + head * rows * cols, rows, cols);
}

/// Two batch entries; two key heads for `query_heads` query heads.
template <class Scalar>
void put_inputs(const Folder& folder, std::size_t query_heads) {
  npy::write(folder / "q.npy", normal<Scalar>(1, {2, query_heads, 23, 5}));
  npy::write(folder / "k.npy", normal<Scalar>(2, {2, 2, 19, 5}));
  npy::write(folder / "v.npy", normal<Scalar>(3, {2, 2, 19, 3}));
  npy::write(folder / "g.npy", normal<Scalar>(4, {2, query_heads, 23, 3}));
}

const Arguments all = {"query=q.npy", "key=k.npy", "value=v.npy", "grad-output=g.npy", "output-dir=out"};
const std::vector<std::string> names = {"out", "grad_query", "grad_key", "grad_value"};

/// The number that follows a key in a line of JSON.
double number(const std::string& json, const std::string& key) {
  const std::size_t at = json.find("\"" + key + "\":");
  REQUIRE(at != std::string::npos);
  return std::stod(json.substr(at + key.size() + 3));
}

/// The program and this test are not compiled with the same optimization, so that the last bits may differ.
template <class Scalar>
void check_against_library(long double tolerance) {
  const Folder folder;
  put_inputs<Scalar>(folder, 4);
  const std::string json =
      require_success(folder, all.with({"kernel=biweight", "scale=1.5", "mask=causal", "threads=3"}).text());

  const npy::Array q = npy::read(folder / "q.npy"), k = npy::read(folder / "k.npy"), v = npy::read(folder / "v.npy");
  const npy::Array g = npy::read(folder / "g.npy"), out = npy::read(folder / "out/out.npy");
  const npy::Array dq = npy::read(folder / "out/grad_query.npy"), dk = npy::read(folder / "out/grad_key.npy");
  const npy::Array dv = npy::read(folder / "out/grad_value.npy");
  REQUIRE(out.shape == std::vector<std::size_t>{2, 4, 23, 3});
  REQUIRE(dq.shape == q.shape);
  REQUIRE(dk.shape == k.shape);
  REQUIRE(dv.shape == v.shape);
  REQUIRE(out.item_size == sizeof(Scalar));

  const NadarayaWatson op{Biweight{}, Adaptive{}, DotProduct{1.5}, Causal{}};
  double support = 0;
  Index empty_rows = 0;
  for (Index shared = 0; shared < 4; ++shared) {
    const RowMatrix<Scalar> key = head<Scalar>(k, shared), value = head<Scalar>(v, shared);
    RowMatrix<Scalar> grad_key = RowMatrix<Scalar>::Zero(19, 5), grad_value = RowMatrix<Scalar>::Zero(19, 3);
    for (Index h = 2 * shared; h < 2 * shared + 2; ++h) {
      INFO("batch entry and query head " << h);
      RowMatrix<Scalar> result;
      const RowMatrix<Scalar> query = head<Scalar>(q, h);
      const auto tape = op.forward(query, key, value, result);
      const auto grads = op.backward(tape, head<Scalar>(g, h));
      REQUIRE(difference(head<Scalar>(out, h), result, tolerance) == "");
      REQUIRE(difference(head<Scalar>(dq, h), grads.query, tolerance) == "");
      grad_key += grads.key;
      grad_value += grads.value;
      support += tape.mean_support() / 8;
      empty_rows += tape.empty_rows();
    }
    REQUIRE(difference(head<Scalar>(dk, shared), grad_key, tolerance) == "");
    REQUIRE(difference(head<Scalar>(dv, shared), grad_value, tolerance) == "");
  }

  REQUIRE(json.substr(0, 1) == "{");
  REQUIRE(json.substr(json.size() - 2) == "}\n");
  REQUIRE_THAT(json, catch_shim::contains("\"query\":[2,4,23,5]"));
  REQUIRE_THAT(json, catch_shim::contains("\"key\":[2,2,19,5]"));
  REQUIRE_THAT(json, catch_shim::contains("\"value\":[2,2,19,3]"));
  REQUIRE_THAT(json, catch_shim::contains("\"out\":[2,4,23,3]"));
  REQUIRE_THAT(json, catch_shim::contains(sizeof(Scalar) == 4 ? "\"dtype\":\"float32\"" : "\"dtype\":\"float64\""));
  REQUIRE(std::abs(number(json, "mean_support") - support) <= 1e-6);
  REQUIRE(empty_rows > 0);  // the first queries are before the first key
  REQUIRE(number(json, "empty_rows") == static_cast<double>(empty_rows));
  REQUIRE(number(json, "seconds") >= 0);
}

}  // namespace

TEST_CASE("every head gets the library's result and gradients", "[program]") {
  SECTION("float64") { check_against_library<double>(1e-13L); }
  SECTION("float32") { check_against_library<float>(1e-5L); }
}

TEST_CASE("two-dimensional arrays are one head", "[program]") {
  const Folder folder;
  const npy::Array q = normal<double>(1, {7, 4}), k = normal<double>(2, {6, 4}), v = normal<double>(3, {6, 2});
  npy::write(folder / "q.npy", q);
  npy::write(folder / "k.npy", k);
  npy::write(folder / "v.npy", v);
  require_success(folder, all.with({"!grad-output", "kernel=biweight", "threads=8"}).text());
  const npy::Array out = npy::read(folder / "out/out.npy");
  REQUIRE(out.shape == std::vector<std::size_t>{7, 2});
  const RowMatrix<double> expected =
      attend(Biweight{}, Adaptive{}, head<double>(q, 0), head<double>(k, 0), head<double>(v, 0));
  REQUIRE(difference(head<double>(out, 0), expected, 1e-13L) == "");
}

TEST_CASE("arrays mean the same however their headers are written", "[program]") {
  const Folder folder;
  put_inputs<double>(folder, 2);
  const Arguments arguments = all.with({"kernel=biweight"});
  require_success(folder, arguments.text());
  const std::string out = folder.content("out/out.npy"), query = folder.content("q.npy");
  const auto spelled = [&](const std::string& from, const std::string& to) {
    std::string text = query;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  std::string big_endian = spelled("<f8", ">f8");
  for (std::size_t at = big_endian.size() - npy::read(folder / "q.npy").bytes.size(); at < big_endian.size(); at += 8) {
    std::reverse(big_endian.begin() + static_cast<std::ptrdiff_t>(at), big_endian.begin() + static_cast<std::ptrdiff_t>(at + 8));
  }
  for (const std::string& text : {spelled("(2, 2, 23, 5, )", "(2L,2L,23L,5L,)"), spelled("'<f8'", "'=f8'"), spelled("'<f8'", " 'f8'"), spelled("'<f8'", "  'd'"),
                                  spelled("'<f8',", "u'f8',"), big_endian}) {
    INFO(text.substr(0, 80));
    folder.put("q.npy", text);
    require_success(folder, arguments.text());
    REQUIRE(folder.content("out/out.npy") == out);
  }
}

TEST_CASE("the bytes are the same for any number of threads", "[program]") {
  const Folder folder;
  put_inputs<float>(folder, 8);
  for (const std::string kernel : {"biweight", "gaussian"}) {
    std::map<std::string, std::string> first;
    for (const std::string threads : {"1", "2", "3", "8", "100"}) {
      INFO(kernel << ", threads " << threads);
      const std::string json = require_success(folder, all.with({"kernel=" + kernel, "threads=" + threads}).text());
      std::map<std::string, std::string> files;
      for (const std::string& name : names) files[name] = folder.content("out/" + name + ".npy");
      files["summary"] = json.substr(0, json.find("\"seconds\""));
      if (threads == "1") first = files;
      REQUIRE(files == first);
    }
  }
}

TEST_CASE("files of an earlier run are replaced, and nothing else is left in the folder", "[program]") {
  const Folder folder;
  put_inputs<double>(folder, 2);
  const Arguments arguments = all.with({"kernel=biweight", "output-dir=new/out/"});
  fs::create_directories(folder / "new/out");
  folder.put("new/out/out.npy", "earlier");
  folder.put("new/out/grad_query.npy.part", "left behind by a run that was killed");
  folder.put("new/out/notes", "mine");
  require_success(folder, arguments.text());
  REQUIRE(npy::read(folder / "new/out/out.npy").shape == std::vector<std::size_t>{2, 2, 23, 3});
  std::vector<std::string> there;
  for (const auto& entry : fs::directory_iterator(folder / "new/out"))
    there.push_back(entry.path().filename().string());
  std::sort(there.begin(), there.end());
  REQUIRE(there == std::vector<std::string>{"grad_key.npy", "grad_query.npy", "grad_value.npy", "notes", "out.npy"});
  REQUIRE(folder.content("new/out/notes") == "mine");
}

TEST_CASE("any size may be zero", "[program]") {
  struct Sizes {
    std::size_t batch, query_heads, key_heads, queries, keys, cols, value_cols;
  };
  for (const Sizes& s : {Sizes{2, 2, 1, 0, 3, 4, 2}, Sizes{2, 2, 1, 5, 0, 4, 2}, Sizes{2, 2, 1, 5, 3, 0, 2},
                         Sizes{2, 2, 1, 5, 3, 4, 0}, Sizes{0, 2, 1, 5, 3, 4, 2}, Sizes{2, 0, 0, 5, 3, 4, 2},
                         Sizes{2, 0, 1, 5, 3, 4, 2}, Sizes{2, 2, 1, 5, 0, 0, 0}, Sizes{0, 0, 0, 0, 0, 0, 0}}) {
    const Folder folder;
    npy::write(folder / "q.npy", normal<float>(1, {s.batch, s.query_heads, s.queries, s.cols}));
    npy::write(folder / "k.npy", normal<float>(2, {s.batch, s.key_heads, s.keys, s.cols}));
    npy::write(folder / "v.npy", normal<float>(3, {s.batch, s.key_heads, s.keys, s.value_cols}));
    npy::write(folder / "g.npy", normal<float>(4, {s.batch, s.query_heads, s.queries, s.value_cols}));
    const std::string json = require_success(folder, all.with({"kernel=biweight", "threads=3"}).text());
    const std::size_t rows = s.batch * s.query_heads * s.queries;
    REQUIRE(number(json, "empty_rows") == (s.keys == 0 ? static_cast<double>(rows) : 0.0));
    REQUIRE(number(json, "mean_support") >= 0);  // JSON has no NaN
    const npy::Array out = npy::read(folder / "out/out.npy"), dk = npy::read(folder / "out/grad_key.npy");
    REQUIRE(out.shape == std::vector<std::size_t>{s.batch, s.query_heads, s.queries, s.value_cols});
    REQUIRE(dk.shape == std::vector<std::size_t>{s.batch, s.key_heads, s.keys, s.cols});
    if (s.keys == 0 || rows == 0) {
      REQUIRE(out.bytes == std::vector<char>(out.bytes.size()));
      REQUIRE(dk.bytes == std::vector<char>(dk.bytes.size()));
    }
  }
}

TEST_CASE("options lead to the operator they name: arrays of the reference implementations", "[program][fixtures]") {
  struct Case {
    std::string name;
    std::vector<std::string> options;
  };
  const Folder folder;
  for (const Case& c : std::vector<Case>{
           {"anchored_biweight_causal",
            {"kernel=biweight", "normalization=anchored", "bandwidth=1.5", "scale=0.2", "mask=causal"}},
           {"anchored_epan", {"kernel=epanechnikov", "normalization=anchored", "bandwidth=1", "scale=0.2"}},
           {"entmax15_causal", {"kernel=biweight", "normalization=adaptive", "scale=0.125", "mask=causal"}},
           {"entmax43_strict", {"kernel=triweight", "scale=0.2", "mask=strictly-causal"}},
           {"entmax_r10_window", {"kernel=polynomial", "exponent=10", "scale=0.3", "mask=window", "window=37"}},
           {"entmax_r2p5", {"kernel=polynomial", "alpha=1.4", "similarity=dot", "scale=0.3", "mask=none"}},
           {"fixed_biweight_causal",
            {"kernel=biweight", "normalization=fixed", "bandwidth=1.3", "similarity=euclidean", "mask=causal"}},
           {"fixed_epan", {"kernel=epanechnikov", "normalization=fixed", "bandwidth=1.25", "similarity=euclidean"}},
           {"fixed_gauss", {"kernel=gaussian", "normalization=fixed", "bandwidth=0.4", "similarity=euclidean"}},
           {"fixed_triweight_empty",
            {"kernel=triweight", "normalization=fixed", "bandwidth=1.15", "similarity=euclidean"}},
           {"fixed_uniform", {"kernel=uniform", "normalization=fixed", "bandwidth=1.3", "similarity=euclidean"}},
           {"softmax_causal", {"kernel=gaussian", "scale=0.125", "mask=causal"}},
           {"sparsemax", {"kernel=epanechnikov", "scale=0.125"}},
           {"topk_softmax", {"kernel=gaussian", "normalization=nearest", "neighbors=16", "scale=0.2"}},
           {"topk_uniform_causal",
            {"kernel=uniform", "normalization=nearest", "neighbors=16", "scale=0.2", "mask=causal"}}}) {
    INFO(c.name);
    const std::string data = NADARAYA_TEST_DATA "/attention/" + c.name + "/";
    const Arguments inputs = {"query=" + data + "query.npy", "key=" + data + "key.npy", "value=" + data + "value.npy",
                              "grad-output=" + data + "grad_output.npy", "output-dir=out"};
    require_success(folder, inputs.with(c.options).text());
    for (const std::string& name : names) {
      INFO(name);
      const npy::Array expected = npy::read(data + name + ".npy"), actual = npy::read(folder / "out/" + name + ".npy");
      REQUIRE(actual.shape == expected.shape);
      for (Index h = 0; h < static_cast<Index>(expected.shape[0] * expected.shape[1]); ++h) {
        REQUIRE(difference(head<double>(actual, h), head<double>(expected, h), 1e-10L) == "");
      }
    }
  }
}

TEST_CASE("the scale has its defaults, and cosine is the distance of unit rows", "[program]") {
  const Folder folder;
  put_inputs<double>(folder, 2);
  const auto out = [&](const std::vector<std::string>& options) {
    require_success(folder, all.with({"kernel=biweight", "!grad-output"}).with(options).text());
    return npy::read(folder / "out/out.npy");
  };
  const auto same = [&](const npy::Array& a, const npy::Array& b) {
    return difference(head<double>(a, 3), head<double>(b, 3), 1e-13L);
  };
  REQUIRE(same(out({}), out({"scale=0.44721359549995793"})) == "");
  REQUIRE(same(out({"similarity=euclidean"}), out({"similarity=euclidean", "scale=1"})) == "");
  REQUIRE(same(out({"similarity=cosine"}), out({"similarity=cosine", "scale=1"})) == "");
  REQUIRE(same(out({"scale=1"}), out({"scale=2"})) != "");

  const npy::Array cosine = out({"similarity=cosine", "scale=3"});
  for (const std::string name : {"q.npy", "k.npy"}) {
    npy::Array rows = npy::read(folder / name);
    Eigen::Map<RowMatrix<double>>(rows.data<double>(), static_cast<Index>(rows.bytes.size()) / 40, 5)
        .rowwise()
        .normalize();
    npy::write(folder / name, rows);
  }
  REQUIRE(same(cosine, out({"similarity=euclidean", "scale=1.5"})) == "");
}

TEST_CASE("every combination of names is computed, or has no meaning", "[program]") {
  const Folder folder;
  put_inputs<float>(folder, 2);
  for (const std::string kernel : {"epanechnikov", "biweight", "triweight", "polynomial", "gaussian", "uniform"}) {
    for (const std::string normalization : {"adaptive", "fixed", "anchored", "nearest"}) {
      for (const std::string similarity : {"dot", "cosine", "euclidean"}) {
        std::vector<std::string> options = {"kernel=" + kernel, "normalization=" + normalization,
                                            "similarity=" + similarity};
        if (kernel == "polynomial") options.push_back("exponent=2.5");
        if (normalization == "fixed" || normalization == "anchored") options.push_back("bandwidth=1.5");
        if (normalization == "nearest") options.push_back("neighbors=4");
        const bool jumps = kernel == "uniform" && normalization == "adaptive";
        const bool needs_distance =
            normalization == "fixed" || (normalization == "nearest" && kernel != "gaussian" && kernel != "uniform");
        if (jumps || (needs_distance && similarity == "dot")) {
          require_refused(folder, all.with({"output-dir=refused"}).with(options).text(),
                          "--normalization " + normalization);
        } else {
          require_success(folder, all.with(options).text());
        }
      }
    }
  }
}

TEST_CASE("a mix is that of the library", "[program]") {
  const Folder folder;
  const npy::Array q = normal<double>(1, {7, 2}), k = normal<double>(2, {16, 2}), v = normal<double>(3, {16, 2}),
                   g = normal<double>(4, {7, 2});
  npy::write(folder / "q.npy", q);
  npy::write(folder / "k.npy", k);
  npy::write(folder / "v.npy", v);
  npy::write(folder / "g.npy", g);
  const auto check = [&](const std::vector<std::string>& options, const auto& mix) {
    INFO(options.front());
    require_success(folder, all.with({"kernel=gaussian", "mask=causal"}).with(options).text());
    const auto op = NadarayaWatson{Gaussian{}, Adaptive{}, DotProduct{}, Causal{}}.with(mix);
    RowMatrix<double> expected;
    const RowMatrix<double> query = head<double>(q, 0), key = head<double>(k, 0), value = head<double>(v, 0);
    const auto tape = op.forward(query, key, value, expected);
    const auto grads = op.backward(tape, head<double>(g, 0));
    REQUIRE(difference(head<double>(npy::read(folder / "out/out.npy"), 0), expected, 1e-10L) == "");
    REQUIRE(difference(head<double>(npy::read(folder / "out/grad_key.npy"), 0), grads.key, 1e-8L) == "");
  };
  check({"mix=linear"}, LocalLinear{});
  check({"mix=linear", "ridge=0.3"}, LocalLinear{0.3});
  check({"mix=quadratic", "ridge=0.02"}, LocalPolynomial<2>{0.02});
  check({"mix=cubic", "ridge=0.02"}, LocalPolynomial<3>{0.02});
}

TEST_CASE("help goes to standard output", "[program]") {
  const Folder folder;
  const Outcome outcome = run_attend(folder, " --help");
  REQUIRE(outcome.exit_code == 0);
  REQUIRE(outcome.err == "");
  REQUIRE_THAT(outcome.out, catch_shim::contains("--grad-output"));
}
