// The options of operators as nadaraya::compiled compiles them: included by a source of the library alone.
#include "nadaraya/operator_options.hpp"

#include "nadaraya/detail/precise.hpp"

template nadaraya::OperatorOptions nadaraya::detail::parse_options(std::string_view);
template void nadaraya::detail::set_option(nadaraya::OperatorOptions&, std::string_view, double);
template void nadaraya::detail::check_similarity_options(const nadaraya::OperatorOptions&);
template void nadaraya::detail::check_mask_options(const nadaraya::OperatorOptions&);
template void nadaraya::detail::check_options(const nadaraya::OperatorOptions&);
template std::string nadaraya::detail::fractions(const nadaraya::OperatorOptions&);

#include "nadaraya/detail/end_precise.hpp"
