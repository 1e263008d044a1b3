// What a call says to the other ranks, and where its time goes: a communicator that passes everything on.
#pragma once

#include "links.hpp"

#include <nadaraya/sharded/communicator.hpp>
#include <nadaraya/sharded/counting.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace program {

/// Any communicator behind one type, so that operators are compiled once and not for MPI and threads each. Refers to it.
class AnyRanks {
 public:
  template <nadaraya::sharded::Communicator C>
  explicit AnyRanks(C& ranks) : ranks_(std::make_unique<Model<C>>(ranks)) {}

  int rank() const { return ranks_->rank(); }
  int size() const { return ranks_->size(); }
  void all_reduce_max(std::span<float> numbers) { ranks_->all_reduce_max(numbers); }
  void all_reduce_max(std::span<double> numbers) { ranks_->all_reduce_max(numbers); }
  void all_reduce_sum(std::span<double> numbers) { ranks_->all_reduce_sum(numbers); }
  void all_gather(std::span<const std::byte> mine, nadaraya::sharded::Gathered& all) { ranks_->all_gather(mine, all); }
  void all_to_all(std::span<const std::span<const std::byte>> to, nadaraya::sharded::Gathered& from) { ranks_->all_to_all(to, from); }
  void broadcast(std::span<std::byte> bytes, int root) { ranks_->broadcast(bytes, root); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual void all_reduce_max(std::span<float> numbers) = 0;
    virtual void all_reduce_max(std::span<double> numbers) = 0;
    virtual void all_reduce_sum(std::span<double> numbers) = 0;
    virtual void all_gather(std::span<const std::byte> mine, nadaraya::sharded::Gathered& all) = 0;
    virtual void all_to_all(std::span<const std::span<const std::byte>> to, nadaraya::sharded::Gathered& from) = 0;
    virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  };

  template <class C>
  struct Model final : Interface {
    explicit Model(C& ranks) : of(ranks) {}
    int rank() const override { return of.rank(); }
    int size() const override { return of.size(); }
    void all_reduce_max(std::span<float> numbers) override { of.all_reduce_max(numbers); }
    void all_reduce_max(std::span<double> numbers) override { of.all_reduce_max(numbers); }
    void all_reduce_sum(std::span<double> numbers) override { of.all_reduce_sum(numbers); }
    void all_gather(std::span<const std::byte> mine, nadaraya::sharded::Gathered& all) override { of.all_gather(mine, all); }
    void all_to_all(std::span<const std::span<const std::byte>> to, nadaraya::sharded::Gathered& from) override { of.all_to_all(to, from); }
    void broadcast(std::span<std::byte> bytes, int root) override { of.broadcast(bytes, root); }
    C& of;
  };

  std::unique_ptr<Interface> ranks_;
};

/// Counts and times the rounds of a call. Its stages are the rounds, and what the rank computes before each and after the
/// last.
class Recorder {
 public:
  struct Stage {
    Round round;          ///< without a name: the end of the call
    double before = 0;    ///< seconds that the rank computed since the stage before
    double exchange = 0;  ///< seconds of the round: to wait for the slowest rank, and to exchange
  };

  /// Refers to the ranks.
  template <nadaraya::sharded::Communicator C>
  explicit Recorder(C& ranks) : ranks_(ranks), counted_(ranks_) {}

  int rank() const { return counted_.rank(); }
  int size() const { return counted_.size(); }
  const nadaraya::sharded::Traffic& traffic() const { return counted_.traffic(); }  ///< of all calls

  void start() {
    stages_.clear();
    last_ = now();
  }
  /// The stages since start.
  const std::vector<Stage>& stop() {
    stages_.push_back(Stage{{}, now() - last_, 0});
    return stages_;
  }

  template <class Number>
  void all_reduce_max(std::span<Number> numbers) {
    record("all_reduce_max", [&] { counted_.all_reduce_max(numbers); });
  }
  void all_reduce_sum(std::span<double> numbers) {
    record("all_reduce_sum", [&] { counted_.all_reduce_sum(numbers); });
  }
  void all_gather(std::span<const std::byte> mine, nadaraya::sharded::Gathered& all) {
    record("all_gather", [&] { counted_.all_gather(mine, all); });
  }
  void all_to_all(std::span<const std::span<const std::byte>> to, nadaraya::sharded::Gathered& from) {
    record("all_to_all", [&] { counted_.all_to_all(to, from); });
  }
  void broadcast(std::span<std::byte> bytes, int root) {
    record("broadcast", [&] { counted_.broadcast(bytes, root); });
  }

 private:
  static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  template <class Exchange>
  void record(const char* function, const Exchange& exchange) {
    const nadaraya::sharded::Traffic before = traffic();
    const double begin = now();
    exchange();
    const double end = now();
    const auto since = [](std::size_t from, std::size_t to) { return static_cast<double>(to - from); };
    const Round round{function, since(before.sent, traffic().sent), since(before.received, traffic().received)};
    stages_.push_back(Stage{round, begin - last_, end - begin});
    last_ = end;
  }

  AnyRanks ranks_;
  nadaraya::sharded::CountingCommunicator<AnyRanks> counted_;
  std::vector<Stage> stages_;
  double last_ = 0;
};

}  // namespace program
