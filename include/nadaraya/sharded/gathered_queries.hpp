// Rows of queries, or of their gradients, of which every rank has some.
#pragma once

#include "nadaraya/rows.hpp"
#include "nadaraya/sharded/agreement.hpp"
#include "nadaraya/types.hpp"

#include <cstddef>
#include <span>

#include "nadaraya/detail/precise.hpp"

namespace nadaraya::sharded {

/// The rows of all ranks, [rows x cols] together, those of rank 0 first. One round.
template <Communicator C, class Scalar>
void gather_rows(Session<C>& session, const Rows<Scalar>& mine, Index rows, RowMatrix<Scalar>& all) {
  Message message;
  Gathered gathered;
  session.attempt([&] {
    for (Index i = 0; i < mine.rows(); ++i) {
      message.add(std::span(mine.data() + i * mine.stride(), static_cast<std::size_t>(mine.cols())));
    }
  });
  session.all_gather(message, gathered);
  session.attempt([&] {
    all.resize(rows, mine.cols());
    Scalar* to = all.data();
    for (int r = 0; r < session.size(); ++r) {
      const std::size_t numbers = (gathered.of(r).size() - Message().bytes().size()) / sizeof(Scalar);
      MessageReader(gathered.of(r)).read(to, numbers);
      to += numbers;
    }
  });
}

}  // namespace nadaraya::sharded

#include "nadaraya/detail/end_precise.hpp"
