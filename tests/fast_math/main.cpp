// The checks of one translation unit, or of two that were built with different options.
int checks_with_flags();
#ifdef NADARAYA_TWO
int checks_without_flags();
#endif

int main() {
  int failures = checks_with_flags();
#ifdef NADARAYA_TWO
  failures += checks_without_flags();
#endif
  return failures;
}
