// Ranks of MPI keep the laws of nadaraya::sharded::Communicator: run by mpirun, on any number of ranks. Each rank knows what
// it must get. With the argument `error`, a call that MPI refuses.
#include <nadaraya/sharded/mpi.hpp>

#include <mpi.h>

#include <algorithm>
#include <bit>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using nadaraya::sharded::Gathered;
using nadaraya::sharded::MpiRank;

void require(bool holds, const std::string& law) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", law.c_str());
  MPI_Abort(MPI_COMM_WORLD, 1);
}

constexpr std::size_t lengths[] = {0, 1, 2, 5, 100};

/// What rank r gives in place i: negative for even places, infinite for some.
double given(int r, std::size_t i) {
  const double size = static_cast<double>((7 * i + 13 * static_cast<std::size_t>(r)) % 31) + 1;
  if (i % 11 == 10) return -std::numeric_limits<double>::infinity();
  return i % 2 == 0 ? -size : size;
}

template <class Number>
void maxima(MpiRank& ranks) {
  for (const std::size_t length : lengths) {
    std::vector<Number> numbers(length);
    for (std::size_t i = 0; i < length; ++i) numbers[i] = static_cast<Number>(given(ranks.rank(), i));
    ranks.all_reduce_max(std::span(numbers));
    for (std::size_t i = 0; i < length; ++i) {
      double largest = given(0, i);
      for (int r = 1; r < ranks.size(); ++r) largest = (std::max)(largest, given(r, i));
      require(numbers[i] == static_cast<Number>(largest), "all_reduce_max gives the largest");
    }
  }
}

void sums(MpiRank& ranks) {
  for (const std::size_t length : lengths) {
    std::vector<double> whole(length), thirds(length);
    for (std::size_t i = 0; i < length; ++i) {
      whole[i] = i % 11 == 10 ? 1.0 : given(ranks.rank(), i);
      thirds[i] = whole[i] / 3;
    }
    ranks.all_reduce_sum(whole);
    for (std::size_t i = 0; i < length; ++i) {
      double sum = 0;
      for (int r = 0; r < ranks.size(); ++r) sum += i % 11 == 10 ? 1.0 : given(r, i);
      require(whole[i] == sum, "all_reduce_sum gives the sum");
    }
    ranks.all_reduce_sum(thirds);
    Gathered all;
    ranks.all_gather(std::as_bytes(std::span(thirds)), all);
    for (int r = 1; r < ranks.size(); ++r) require(std::ranges::equal(all.of(r), all.of(0)), "all ranks get the same bits of a sum");
  }
}

std::vector<std::byte> bytes_of(int r, std::size_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>((i * 31 + static_cast<std::size_t>(r) * 57) & 255u);
  return bytes;
}

void gathers(MpiRank& ranks) {
  Gathered all;
  for (const std::size_t length : lengths) {
    // Some ranks give nothing, others more than the rest.
    const auto size = [&](int r) { return length * (static_cast<std::size_t>(r + 1) % 3); };
    ranks.all_gather(bytes_of(ranks.rank(), size(ranks.rank())), all);
    require(all.ends.size() == static_cast<std::size_t>(ranks.size()), "all_gather has an end for each rank");
    for (int r = 0; r < ranks.size(); ++r) require(std::ranges::equal(all.of(r), bytes_of(r, size(r))), "all_gather has the bytes of every rank");
  }
}

void exchanges(MpiRank& ranks) {
  Gathered from;
  for (const std::size_t length : lengths) {
    // Rank r has something else for every rank s, and nothing for some.
    const auto part = [&](int r, int s) { return bytes_of(100 * r + s, length * (static_cast<std::size_t>(r + 2 * s) % 3)); };
    std::vector<std::vector<std::byte>> parts;
    for (int s = 0; s < ranks.size(); ++s) parts.push_back(part(ranks.rank(), s));
    const std::vector<std::span<const std::byte>> to(parts.begin(), parts.end());
    ranks.all_to_all(to, from);
    require(from.ends.size() == static_cast<std::size_t>(ranks.size()), "all_to_all has an end for each rank");
    for (int r = 0; r < ranks.size(); ++r) {
      require(std::ranges::equal(from.of(r), part(r, ranks.rank())), "all_to_all has what every rank has for this one");
    }
  }
}

void broadcasts(MpiRank& ranks) {
  for (const std::size_t length : lengths) {
    for (int root = 0; root < ranks.size(); ++root) {
      std::vector<std::byte> bytes = bytes_of(ranks.rank(), length);
      ranks.broadcast(bytes, root);
      require(bytes == bytes_of(root, length), "broadcast gives the bytes of the root");
    }
  }
}

void laws(MpiRank& ranks) {
  maxima<float>(ranks);
  maxima<double>(ranks);
  sums(ranks);
  gathers(ranks);
  exchanges(ranks);
  broadcasts(ranks);
}

void refusals() {
  std::string message;
  try {
    const MpiRank none(MPI_COMM_NULL);
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  require(message == "nadaraya::sharded::MpiRank: the communicator is MPI_COMM_NULL", "MPI_COMM_NULL is refused");
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  {
    MpiRank ranks(MPI_COMM_WORLD);
    if (argc > 1) {
      std::byte byte{};
      ranks.broadcast(std::span(&byte, 1), ranks.size());
    }
    laws(ranks);
    // As if MPI could count to 3 alone.
    MpiRank in_parts(MPI_COMM_WORLD, 3);
    laws(in_parts);
    // A group of its own order.
    MPI_Comm reversed;
    MPI_Comm_split(MPI_COMM_WORLD, 0, -ranks.rank(), &reversed);
    {
      MpiRank back(reversed);
      require(back.size() == ranks.size() && back.rank() == ranks.size() - 1 - ranks.rank(), "ranks are numbered as in their group");
      laws(back);
    }
    MPI_Comm_free(&reversed);
    refusals();
  }
  MPI_Finalize();
}
