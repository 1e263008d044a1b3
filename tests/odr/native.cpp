// Built for the machine that compiles it, with all its instructions.
#include "twice.hpp"

Eigen::MatrixXf attend_native(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key, const Eigen::MatrixXf& value);

Eigen::MatrixXf attend_native(const Eigen::MatrixXf& query, const Eigen::MatrixXf& key, const Eigen::MatrixXf& value) {
  return attend_here(query, key, value);
}
