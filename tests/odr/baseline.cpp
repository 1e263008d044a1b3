// Built for the machine that the compiler takes when told nothing.
#include "twice.hpp"

Eigen::MatrixXf attend_baseline(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key, const Eigen::MatrixXf& value);

Eigen::MatrixXf attend_baseline(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key,
                                const Eigen::MatrixXf& value) {
  return attend_here(query, key, value);
}
