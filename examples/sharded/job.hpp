// The processes of a job: MPI from main to its end, and one of them that speaks.
#pragma once

#include "../support/main.hpp"
#include "../support/usage.hpp"

#include <nadaraya/sharded/agreement.hpp>
#include <nadaraya/sharded/communicator.hpp>
#include <nadaraya/sharded/mpi.hpp>

#include <mpi.h>

#include <iostream>
#include <optional>
#include <stdexcept>
#include <streambuf>
#include <string>

namespace program {

/// MPI between its constructor and its destructor. Standard output and standard error of ranks other than 0 lead nowhere:
/// errors reach all ranks (see agree), and rank 0 reports them.
class Job {
 public:
  Job(int& argc, char**& argv) {
    reserve_standard_streams();
    int provided = 0, rank = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) return;
    out_ = std::cout.rdbuf(&silence_);
    err_ = std::cerr.rdbuf(&silence_);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() {
    if (out_ != nullptr) std::cout.rdbuf(out_);
    if (err_ != nullptr) std::cerr.rdbuf(err_);
    MPI_Finalize();
  }

 private:
  struct Silence : std::streambuf {
    int overflow(int c) override { return traits_type::not_eof(c); }
  };

  Silence silence_;
  std::streambuf* out_ = nullptr;
  std::streambuf* err_ = nullptr;
};

/// The first ranks of a job.
class Group {
 public:
  /// Called by all ranks of the job.
  Group(const nadaraya::sharded::MpiRank& job, int size) {
    MPI_Comm_split(MPI_COMM_WORLD, job.rank() < size ? 0 : MPI_UNDEFINED, job.rank(), &group_);
    if (group_ != MPI_COMM_NULL) ranks_.emplace(group_);
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    ranks_.reset();
    if (group_ != MPI_COMM_NULL) MPI_Comm_free(&group_);
  }

  /// Null on ranks that do not belong to the group.
  nadaraya::sharded::MpiRank* ranks() { return ranks_ ? &*ranks_ : nullptr; }

 private:
  MPI_Comm group_ = MPI_COMM_NULL;
  std::optional<nadaraya::sharded::MpiRank> ranks_;
};

/// work() on every rank, which must not communicate but within groups whose ranks fail together. Where it fails on a rank, all ranks throw the same: UsageError with
/// the number and the message of the lowest such rank, or std::bad_alloc.
template <nadaraya::sharded::Communicator Ranks, class Work>
void agree(Ranks& ranks, const Work& work) {
  nadaraya::sharded::Session<Ranks> session(ranks);
  session.attempt(work);
  try {
    session.agree();
  } catch (const std::invalid_argument& error) {
    refuse(complaint(error));
  } catch (const std::runtime_error& error) {
    refuse(complaint(std::invalid_argument(error.what())));
  }
}

}  // namespace program
