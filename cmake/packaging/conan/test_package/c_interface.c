/* Scores 1, 0.8 and 0.1: sparsemax weighs the first two with 0.6 and 0.4. */
#include <nadaraya/nadaraya.h>

#include <stdio.h>

int main(void) {
  const float scores[3] = {1.0f, 0.8f, 0.1f};
  float weights[3];
  const nadaraya_input x = nadaraya_input_f32(scores, 1, 1, 1, 3);
  const nadaraya_output p = nadaraya_output_f32(weights, 1, 1, 1, 3);
  if (nadaraya_entmax(&x, 2.0, &p) != NADARAYA_SUCCESS) {
    puts(nadaraya_last_error());
    return 1;
  }
  return weights[0] > 0.599f && weights[0] < 0.601f && weights[2] == 0.0f ? 0 : 1;
}
