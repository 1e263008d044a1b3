// How ranks agree that all of them can go on, before they wait for each other.
#pragma once

#include "nadaraya/sharded/communicator.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// What a rank sends to the others: numbers, one after the other, in a buffer that is reused.
class Message {
 public:
  Message() { clear(); }

  void clear() { bytes_.assign(sizeof(std::int64_t), std::byte(0)); }  ///< Nothing but room for the status.

  /// Appends numbers.
  template <class Number>
  void add(std::span<const Number> numbers) {
    const auto* const from = reinterpret_cast<const std::byte*>(numbers.data());
    bytes_.insert(bytes_.end(), from, from + numbers.size_bytes());
  }
  /// Appends one number.
  template <class Number>
  void add(const Number& number) {
    add(std::span<const Number>(&number, 1));
  }

  /// Appends what was added to another message.
  void append(const Message& more) { bytes_.insert(bytes_.end(), more.bytes_.begin() + sizeof(std::int64_t), more.bytes_.end()); }

  std::span<const std::byte> bytes() const { return bytes_; }  ///< Everything.

 private:
  std::vector<std::byte> bytes_;
};

/// What a rank sends to each of the others.
class MessagesToRanks {
 public:
  /// For that many ranks. Memory for parts() is taken here, so that a rank which fails later can still say so.
  void begin(int ranks) {
    messages_.resize(static_cast<std::size_t>(ranks));
    parts_.resize(messages_.size());
  }

  /// Nothing in any of them but room for the status.
  void clear() {
    for (Message& message : messages_) message.clear();
  }

  Message& operator[](int rank) { return messages_[static_cast<std::size_t>(rank)]; }  ///< That for a rank.
  std::span<Message> all() { return messages_; }  ///< By rank.

  /// Everything, by rank.
  std::span<const std::span<const std::byte>> parts() {
    for (std::size_t r = 0; r < parts_.size(); ++r) parts_[r] = messages_[r].bytes();
    return parts_;
  }
  /// The same bytes for each rank instead.
  std::span<const std::span<const std::byte>> parts(std::span<const std::byte> same) {
    std::fill(parts_.begin(), parts_.end(), same);
    return parts_;
  }

 private:
  std::vector<Message> messages_;
  std::vector<std::span<const std::byte>> parts_;
};

/// Numbers in a message, aligned or not.
template <class Number>
struct SentNumbers {
  const std::byte* bytes = nullptr;

  Number operator[](std::size_t i) const {
    Number number;
    std::memcpy(&number, bytes + i * sizeof(Number), sizeof(Number));
    return number;
  }
};

/// Reads the numbers of a Message in the order in which they were added. What was sent is trusted: lengths are not checked.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> bytes) : bytes_(bytes.subspan(sizeof(std::int64_t))) {}

  /// Copies numbers.
  template <class Number>
  void read(Number* to, std::size_t count) {
    const SentNumbers<Number> numbers = view<Number>(count);
    if (count > 0) std::memcpy(to, numbers.bytes, count * sizeof(Number));
  }
  /// Numbers where they are in the message.
  template <class Number>
  SentNumbers<Number> view(std::size_t count) {
    const SentNumbers<Number> numbers{bytes_.data()};
    bytes_ = bytes_.subspan(count * sizeof(Number));
    return numbers;
  }
  /// One number.
  template <class Number>
  Number read() {
    Number number;
    read(&number, 1);
    return number;
  }

 private:
  std::span<const std::byte> bytes_;
};

/// A rank's side of a call of all ranks. Work that may throw is done by attempt(); if it has thrown on a rank, the next
/// function that all ranks call, which every one of them reaches, throws the same on all: std::invalid_argument with the
/// message of the lowest of these ranks, std::bad_alloc, or std::runtime_error for any other exception. So a rank that fails
/// does not leave others waiting.
template <Communicator C>
class Session {
 public:
  explicit Session(C& ranks) : ranks_(ranks) {}

  int rank() const { return ranks_.rank(); }  ///< The number of this rank.
  int size() const { return ranks_.size(); }  ///< How many there are.

  /// Calls work, unless this rank has failed already.
  template <class Work>
  void attempt(const Work& work) {
    if (failure_.kind != none) return;
    try {
      work();
    } catch (const std::bad_alloc&) {
      failure_.kind = no_memory;
    } catch (const std::invalid_argument& error) {
      note(bad_argument, error.what());
    } catch (const std::exception& error) {
      note(other, error.what());
    } catch (...) {
      note(other, "an exception that is no std::exception");
    }
  }

  /// Throws on all ranks if one has failed.
  void agree() {
    double status[1] = {status_number()};
    ranks_.all_reduce_max(std::span<double>(status));
    throw_together(status[0]);
  }

  /// Throws on this rank the failure that it has noted since: after the last function that all ranks call, where work fails on all of
  /// them or none.
  void end() {
    if (failure_.kind != none) throw_failure_of(rank());
  }

  /// The largest of each number over the ranks, but for the last, which must be there for the status.
  template <class Scalar>
  void all_reduce_max(std::span<Scalar> numbers) {
    numbers.back() = static_cast<Scalar>(status_number());
    ranks_.all_reduce_max(numbers);
    throw_together(static_cast<double>(numbers.back()));
  }

  /// The sum of each number over the ranks, but for the last, which must be there for the status.
  void all_reduce_sum(std::vector<double>& numbers) {
    numbers.back() = failure_.kind == none ? 0.0 : 1.0;
    ranks_.all_reduce_sum(std::span<double>(numbers));
    if (numbers.back() > 0) agree();
  }

  /// The messages of all ranks.
  void all_gather(const Message& message, Gathered& all) {
    const auto status = static_cast<std::int64_t>(status_number());
    if (status == 0) {
      ranks_.all_gather(message.bytes(), all);
    } else {
      ranks_.all_gather(std::as_bytes(std::span(&status, 1)), all);
    }
    throw_worst(all);
  }

  /// The messages that all ranks have for this one.
  void all_to_all(MessagesToRanks& to, Gathered& from) {
    const auto status = static_cast<std::int64_t>(status_number());
    ranks_.all_to_all(status == 0 ? to.parts() : to.parts(std::as_bytes(std::span(&status, 1))), from);
    throw_worst(from);
  }

 private:
  enum Kind : std::int32_t { none, no_memory, bad_argument, other };

  /// Of messages that begin with the status of their ranks.
  void throw_worst(const Gathered& all) {
    std::int64_t worst = 0;
    for (int r = 0; r < size(); ++r) {
      std::int64_t one;
      std::memcpy(&one, all.of(r).data(), sizeof one);
      worst = (std::max)(worst, one);
    }
    throw_together(static_cast<double>(worst));
  }

  /// Of fixed size, so that it can be sent, and made without memory.
  struct Failure {
    Kind kind = none;
    char text[508] = {};
  };

  void note(Kind kind, const char* text) {
    failure_.kind = kind;
    std::strncpy(failure_.text, text, sizeof failure_.text - 1);
  }

  /// 0, or the more, the lower the number of a rank that has failed.
  double status_number() const { return failure_.kind == none ? 0.0 : static_cast<double>(size() - rank()); }

  void throw_together(double status) {
    if (status == 0) return;
    const int failed = size() - static_cast<int>(status);
    ranks_.broadcast(std::as_writable_bytes(std::span(&failure_, 1)), failed);
    throw_failure_of(failed);
  }

  [[noreturn]] void throw_failure_of(int failed) const {
    if (failure_.kind == no_memory) throw std::bad_alloc();
    if (failure_.kind == bad_argument) throw std::invalid_argument(failure_.text);
    throw std::runtime_error("nadaraya::sharded: rank " + std::to_string(failed) + ": " + failure_.text);
  }

  C& ranks_;
  Failure failure_;
};

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
