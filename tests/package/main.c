/* The smallest user of the C interface: one query that equals its only key takes that key's value. */
#include <nadaraya/nadaraya.h>

#include <stdio.h>
#include <string.h>

int main(void) {
  const float identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, scores[9] = {10, 0, 0, 0, 10, 0, 0, 0, 10};
  float result[9];
  const nadaraya_input query = nadaraya_input_f32(scores, 1, 1, 3, 3), value = nadaraya_input_f32(identity, 1, 1, 3, 3);
  const nadaraya_output out = nadaraya_output_f32(result, 1, 1, 3, 3);
  nadaraya_operator* op;
  int i, failed = strcmp(nadaraya_version(), NADARAYA_VERSION_STRING) != 0;
  if (nadaraya_operator_create("kernel=biweight", &op) != NADARAYA_SUCCESS ||
      nadaraya_attend(op, &query, &query, &value, &out, NULL) != NADARAYA_SUCCESS) {
    fprintf(stderr, "%s\n", nadaraya_last_error());
    return 1;
  }
  for (i = 0; i < 9; ++i) failed = failed || !(result[i] - identity[i] <= 1e-6f && identity[i] - result[i] <= 1e-6f);
  nadaraya_operator_destroy(op);
  if (failed) fprintf(stderr, "unexpected result\n");
  return failed;
}
