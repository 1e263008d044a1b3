/* The C interface from C99: values against constants, gradients against differences, messages of what is refused. */
#include <nadaraya/nadaraya.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                     \
    }                                                                 \
  } while (0)

/* NaN is not close to anything. */
#define CHECK_CLOSE(value, expected, tolerance)                                                               \
  do {                                                                                                        \
    const double value_ = (value), expected_ = (expected);                                                    \
    if (!(fabs(value_ - expected_) <= (tolerance))) {                                                         \
      fprintf(stderr, "%s:%d: %s is %.17g, expected %.17g\n", __FILE__, __LINE__, #value, value_, expected_); \
      ++failures;                                                                                             \
    }                                                                                                         \
  } while (0)

static void succeeded(nadaraya_status status, const char* call, int line) {
  if (status != NADARAYA_SUCCESS) {
    fprintf(stderr, "%s:%d: %s: %d, %s\n", __FILE__, line, call, (int)status, nadaraya_last_error());
    exit(1);
  }
}
#define SUCCEED(call) succeeded(call, #call, __LINE__)

/* The call fails for an argument, with a message that contains the text. */
static void refused(nadaraya_status status, const char* text, int line) {
  if (status != NADARAYA_INVALID_ARGUMENT || strstr(nadaraya_last_error(), text) == NULL) {
    fprintf(stderr, "%s:%d: %d, '%s', expected '%s'\n", __FILE__, line, (int)status, nadaraya_last_error(), text);
    ++failures;
  }
}
#define REFUSE(call, text) refused(call, text, __LINE__)

static nadaraya_operator* make(const char* options) {
  nadaraya_operator* op;
  SUCCEED(nadaraya_operator_create(options, &op));
  return op;
}

/* Numbers in [-1, 1), always the same. */
static double number(unsigned i) { return (double)((i * 2654435761u) >> 8 & 0xffffu) / 32768.0 - 1.0; }

static void version(void) {
  char text[32];
  sprintf(text, "%d.%d.%d", NADARAYA_VERSION_MAJOR, NADARAYA_VERSION_MINOR, NADARAYA_VERSION_PATCH);
  CHECK(strcmp(nadaraya_version(), text) == 0);
  CHECK(strcmp(NADARAYA_VERSION_STRING, text) == 0);
  CHECK(nadaraya_processors() >= 1);
}

/* Scores 1, 0.8, 0.1: sparsemax keeps two, with threshold 0.4; softmax keeps all. */
static void attention_of_constants(void) {
  const float q[] = {1.0f}, k[] = {1.0f, 0.8f, 0.1f}, v[] = {1, 10, 2, 20, 4, 40};
  const double q_double[] = {1.0}, k_double[] = {1.0, 0.8, 0.1}, v_double[] = {1, 10, 2, 20, 4, 40};
  float out[2];
  double out_double[2];
  const nadaraya_input query = nadaraya_input_f32(q, 1, 1, 1, 1), key = nadaraya_input_f32(k, 1, 1, 3, 1),
                       value = nadaraya_input_f32(v, 1, 1, 3, 2);
  const nadaraya_input query_double = nadaraya_input_f64(q_double, 1, 1, 1, 1),
                       key_double = nadaraya_input_f64(k_double, 1, 1, 3, 1),
                       value_double = nadaraya_input_f64(v_double, 1, 1, 3, 2);
  const nadaraya_output result = nadaraya_output_f32(out, 1, 1, 1, 2),
                        result_double = nadaraya_output_f64(out_double, 1, 1, 1, 2);

  nadaraya_operator* op = make("kernel=epanechnikov");
  SUCCEED(nadaraya_attend(op, &query, &key, &value, &result, NULL));
  CHECK_CLOSE(out[0], 1.4, 1e-6);
  CHECK_CLOSE(out[1], 14.0, 1e-5);
  nadaraya_sparse* weights;
  SUCCEED(nadaraya_weights(op, &query_double, &key_double, NULL, &weights));
  CHECK(weights->rows == 1 && weights->cols == 3 && weights->count == 2 && weights->type == NADARAYA_FLOAT64);
  CHECK(weights->offsets[0] == 0 && weights->offsets[1] == 2 && weights->columns[0] == 0 && weights->columns[1] == 1);
  CHECK_CLOSE(((const double*)weights->values)[0], 0.6, 1e-15);
  CHECK_CLOSE(((const double*)weights->values)[1], 0.4, 1e-15);
  nadaraya_sparse_destroy(weights);
  nadaraya_operator_destroy(op);

  /* Distances 0, 0.2 and 0.9: the profile 1 - (d/0.5)^2 of two keys, divided by 2. */
  op = make("kernel=epanechnikov normalization=unnormalized similarity=euclidean bandwidth=0.5 mass=2");
  SUCCEED(nadaraya_attend(op, &query_double, &key_double, &value_double, &result_double, NULL));
  CHECK_CLOSE(out_double[0], (1.0 + 2.0 * 0.84) / 2.0, 1e-14);
  nadaraya_operator_destroy(op);

  op = make("kernel=gaussian mask=causal");
  SUCCEED(nadaraya_attend(op, &query_double, &key_double, &value_double, &result_double, NULL));
  const double mass = exp(1.0) + exp(0.8) + exp(0.1);
  CHECK_CLOSE(out_double[0], (exp(1.0) + 2 * exp(0.8) + 4 * exp(0.1)) / mass, 1e-14);
  nadaraya_operator_destroy(op);
}

static void rows_of_scores(void) {
  const double x[] = {1.0, 0.8, 0.1, 2.0, 2.0, -1.0}, g[] = {1, 2, 3, 4, 5, 6};
  double p[6], dx[6], gradient, more, less;
  const nadaraya_input scores = nadaraya_input_f64(x, 1, 1, 2, 3), grad = nadaraya_input_f64(g, 1, 1, 2, 3);
  const nadaraya_output weights = nadaraya_output_f64(p, 1, 1, 2, 3), grad_x = nadaraya_output_f64(dx, 1, 1, 2, 3);
  nadaraya_input same = nadaraya_input_f64(p, 1, 1, 2, 3);
  const double h = 1e-5;
  int i;
  SUCCEED(nadaraya_entmax(&scores, 2.0, &weights));
  CHECK_CLOSE(p[0], 0.6, 1e-15);
  CHECK_CLOSE(p[1], 0.4, 1e-15);
  CHECK(p[2] == 0 && p[5] == 0);
  CHECK_CLOSE(p[3], 0.5, 1e-15);
  SUCCEED(nadaraya_entmax_pullback(&same, &grad, 2.0, &grad_x));
  CHECK_CLOSE(dx[0], -0.5, 1e-15);
  CHECK_CLOSE(dx[1], 0.5, 1e-15);
  CHECK(dx[2] == 0);
  SUCCEED(nadaraya_entmax(&scores, 1.0, &weights));
  CHECK_CLOSE(p[1], exp(0.8) / (exp(1.0) + exp(0.8) + exp(0.1)), 1e-15);

  /* A derivative by alpha, and its quotient of differences. */
  SUCCEED(nadaraya_entmax_alpha_gradient(&scores, &grad, 1.3, &gradient));
  SUCCEED(nadaraya_entmax(&scores, 1.3 + h, &weights));
  for (more = 0, i = 0; i < 6; ++i) more += p[i] * g[i];
  SUCCEED(nadaraya_entmax(&scores, 1.3 - h, &weights));
  for (less = 0, i = 0; i < 6; ++i) less += p[i] * g[i];
  CHECK_CLOSE(gradient, (more - less) / (2 * h), 1e-7);

  REFUSE(nadaraya_entmax(&scores, 0.5, &weights), "nadaraya_entmax: alpha must be finite and at least 1, got 0.5");
  same = nadaraya_input_f64(x, 1, 1, 3, 2);
  REFUSE(nadaraya_entmax(&same, 2.0, &weights), "x and p must have the same shape, got [1 x 1 x 3 x 2] and [1 x 1 x 2 x 3]");
}

/* Losses of classes and of distributions, and their gradient p - y. */
static void losses_of_scores(void) {
  const double x[] = {1.0, 0.8, 0.1, 2.0, 2.0, -1.0}, one_hot[] = {1, 0, 0, 0, 0, 1}, wrong[] = {1, 0, 0, 0, 0.5, 1};
  const int64_t classes[] = {0, 2}, outside[] = {0, 3};
  double losses[2], gradient[6], again[2], gradient_again[6];
  const nadaraya_input scores = nadaraya_input_f64(x, 1, 2, 1, 3), targets = nadaraya_input_f64(one_hot, 1, 2, 1, 3),
                       no_targets = nadaraya_input_f64(wrong, 1, 2, 1, 3);
  const nadaraya_output of_rows = nadaraya_output_f64(losses, 1, 2, 1, 1),
                        by_scores = nadaraya_output_f64(gradient, 1, 2, 1, 3),
                        of_rows_again = nadaraya_output_f64(again, 1, 2, 1, 1),
                        by_scores_again = nadaraya_output_f64(gradient_again, 1, 2, 1, 3);
  int i;
  SUCCEED(nadaraya_entmax_loss_of_classes(&scores, classes, 1.0, &of_rows, &by_scores));
  CHECK_CLOSE(losses[0], log(exp(1.0) + exp(0.8) + exp(0.1)) - 1.0, 1e-14);
  CHECK_CLOSE(losses[1], log(2 * exp(2.0) + exp(-1.0)) + 1.0, 1e-14);
  CHECK_CLOSE(gradient[0], exp(1.0) / (exp(1.0) + exp(0.8) + exp(0.1)) - 1.0, 1e-15);
  /* Sparsemax: p = (0.6, 0.4, 0), and L = -z_y + (1 + the sum of z_j^2 - tau^2 over the support) / 2 with tau = 0.4. */
  SUCCEED(nadaraya_entmax_loss_of_classes(&scores, classes, 2.0, &of_rows, &by_scores));
  CHECK_CLOSE(losses[0], -1.0 + (1.0 + 1.0 - 0.16 + 0.64 - 0.16) / 2.0, 1e-14);
  CHECK_CLOSE(gradient[0], -0.4, 1e-15);
  CHECK_CLOSE(gradient[1], 0.4, 1e-15);
  CHECK(gradient[2] == 0);
  SUCCEED(nadaraya_entmax_loss(&scores, &targets, 2.0, &of_rows_again, &by_scores_again));
  for (i = 0; i < 6; ++i) CHECK_CLOSE(gradient_again[i], gradient[i], 1e-15);
  for (i = 0; i < 2; ++i) CHECK_CLOSE(again[i], losses[i], 1e-14);

  again[0] = gradient_again[0] = 7;
  REFUSE(nadaraya_entmax_loss_of_classes(&scores, outside, 2.0, &of_rows_again, &by_scores_again),
         "nadaraya_entmax_loss_of_classes: targets: class index 3 of row 0 is not in [0, 3)");
  REFUSE(nadaraya_entmax_loss(&scores, &no_targets, 2.0, &of_rows_again, &by_scores_again),
         "targets: row 0 is not a distribution");
  REFUSE(nadaraya_entmax_loss_of_classes(&scores, NULL, 2.0, &of_rows_again, &by_scores_again), "classes must not be NULL");
  REFUSE(nadaraya_entmax_loss_of_classes(&scores, classes, 0.9, &of_rows_again, &by_scores_again),
         "alpha must be finite and at least 1, got 0.9");
  REFUSE(nadaraya_entmax_loss_of_classes(&scores, classes, 2.0, &by_scores_again, &by_scores_again),
         "losses must be [1 x 2 x 1 x 1], got [1 x 2 x 1 x 3]");
  REFUSE(nadaraya_entmax_loss_of_classes(&scores, classes, 2.0, &of_rows_again, &of_rows_again),
         "scores and grad_scores must have the same shape");
  CHECK(again[0] == 7 && gradient_again[0] == 7);
}

enum { batch = 2, heads = 4, key_heads = 2, tokens = 40, dim = 5, value_dim = 3 };
enum {
  queries = batch * heads * tokens * dim,
  keys = batch * key_heads * tokens * dim,
  values = batch * key_heads * tokens * value_dim
};
enum { outs = batch * heads * tokens * value_dim };

static double q[queries], k[keys], v[values], g[outs], out[outs], dq[queries], dk[keys], dv[values];

static double loss(const nadaraya_operator* op) {
  const nadaraya_input query = nadaraya_input_f64(q, batch, heads, tokens, dim),
                       key = nadaraya_input_f64(k, batch, key_heads, tokens, dim),
                       value = nadaraya_input_f64(v, batch, key_heads, tokens, value_dim);
  const nadaraya_output result = nadaraya_output_f64(out, batch, heads, tokens, value_dim);
  double sum = 0;
  int i;
  SUCCEED(nadaraya_attend(op, &query, &key, &value, &result, NULL));
  for (i = 0; i < outs; ++i) sum += out[i] * g[i];
  return sum;
}

static double difference(const nadaraya_operator* op, double* x) {
  const double h = 1e-6, before = *x;
  double more, less;
  *x = before + h;
  more = loss(op);
  *x = before - h;
  less = loss(op);
  *x = before;
  return (more - less) / (2 * h);
}

static double difference_of_parameter(const nadaraya_operator* op, const char* name, double value) {
  const double h = 1e-6;
  nadaraya_operator *more, *less;
  double result;
  SUCCEED(nadaraya_operator_with(op, name, value + h, &more));
  SUCCEED(nadaraya_operator_with(op, name, value - h, &less));
  result = (loss(more) - loss(less)) / (2 * h);
  nadaraya_operator_destroy(more);
  nadaraya_operator_destroy(less);
  return result;
}

static void fill(void) {
  int i;
  for (i = 0; i < queries; ++i) q[i] = 2 * number((unsigned)i);
  for (i = 0; i < keys; ++i) k[i] = 2 * number(10000u + (unsigned)i);
  for (i = 0; i < values; ++i) v[i] = number(20000u + (unsigned)i);
  for (i = 0; i < outs; ++i) g[i] = number(30000u + (unsigned)i);
}

static void gradients(void) {
  const nadaraya_input query = nadaraya_input_f64(q, batch, heads, tokens, dim),
                       key = nadaraya_input_f64(k, batch, key_heads, tokens, dim),
                       value = nadaraya_input_f64(v, batch, key_heads, tokens, value_dim),
                       grad_out = nadaraya_input_f64(g, batch, heads, tokens, value_dim);
  const nadaraya_output result = nadaraya_output_f64(out, batch, heads, tokens, value_dim),
                        grad_query = nadaraya_output_f64(dq, batch, heads, tokens, dim),
                        grad_key = nadaraya_output_f64(dk, batch, key_heads, tokens, dim),
                        grad_value = nadaraya_output_f64(dv, batch, key_heads, tokens, value_dim);
  nadaraya_operator* const op = make("kernel=polynomial alpha=1.3 similarity=dot scale=0.7 mask=causal");
  nadaraya_parameters parameters[heads];
  double scale = 0, alpha = 0;
  nadaraya_workspace* workspace;
  nadaraya_tape* tape;
  static double serial_out[outs], serial_dk[keys];
  int i;

  SUCCEED(nadaraya_forward(op, &query, &key, &value, &result, NULL, &tape));
  CHECK(nadaraya_tape_mean_support(tape) > 1 && nadaraya_tape_mean_support(tape) < tokens);
  CHECK(nadaraya_tape_empty_rows(tape) == 0);
  SUCCEED(nadaraya_backward(tape, &grad_out, &grad_query, &grad_key, &grad_value, parameters, NULL));
  memcpy(serial_out, out, sizeof out);
  memcpy(serial_dk, dk, sizeof dk);
  for (i = 0; i < 3; ++i) {
    CHECK_CLOSE(dq[i * 7], difference(op, q + i * 7), 1e-6);
    CHECK_CLOSE(dk[i * 11], difference(op, k + i * 11), 1e-6);
    CHECK_CLOSE(dv[i * 13], difference(op, v + i * 13), 1e-6);
  }
  for (i = 0; i < heads; ++i) {
    scale += parameters[i].scale;
    alpha += parameters[i].alpha;
    CHECK(parameters[i].bandwidth == 0 && parameters[i].ridge == 0);
  }
  CHECK_CLOSE(scale, difference_of_parameter(op, "scale", 0.7), 1e-6);
  CHECK_CLOSE(alpha, difference_of_parameter(op, "alpha", 1.3), 1e-6);
  REFUSE(nadaraya_backward(tape, &grad_out, &grad_query, &grad_value, &grad_key, NULL, NULL),
         "nadaraya_backward: grad_key must be [2 x 2 x 40 x 5], got [2 x 2 x 40 x 3]");
  nadaraya_tape_destroy(tape);

  /* The tape keeps what it needs of the operator; threads change no bit. */
  SUCCEED(nadaraya_workspace_create(3, &workspace));
  SUCCEED(nadaraya_forward(op, &query, &key, &value, &result, workspace, &tape));
  nadaraya_operator_destroy(op);
  SUCCEED(nadaraya_backward(tape, &grad_out, &grad_query, &grad_key, &grad_value, NULL, workspace));
  CHECK(memcmp(out, serial_out, sizeof out) == 0);
  CHECK(memcmp(dk, serial_dk, sizeof dk) == 0);
  nadaraya_tape_destroy(tape);
  nadaraya_workspace_destroy(workspace);
}

/* A plane through the values of the support, and the gradient of its ridge. */
static void linear_mix(void) {
  const nadaraya_input query = nadaraya_input_f64(q, batch, heads, tokens, dim),
                       key = nadaraya_input_f64(k, batch, key_heads, tokens, dim),
                       value = nadaraya_input_f64(v, batch, key_heads, tokens, value_dim),
                       grad_out = nadaraya_input_f64(g, batch, heads, tokens, value_dim);
  const nadaraya_output result = nadaraya_output_f64(out, batch, heads, tokens, value_dim),
                        grad_query = nadaraya_output_f64(dq, batch, heads, tokens, dim),
                        grad_key = nadaraya_output_f64(dk, batch, key_heads, tokens, dim),
                        grad_value = nadaraya_output_f64(dv, batch, key_heads, tokens, value_dim);
  nadaraya_operator* const op = make("kernel=biweight scale=0.7 mask=causal mix=linear ridge=0.3");
  nadaraya_operator* none;
  nadaraya_parameters parameters[heads];
  nadaraya_tape* tape;
  double ridge = 0;
  int i;
  SUCCEED(nadaraya_forward(op, &query, &key, &value, &result, NULL, &tape));
  SUCCEED(nadaraya_backward(tape, &grad_out, &grad_query, &grad_key, &grad_value, parameters, NULL));
  for (i = 0; i < heads; ++i) ridge += parameters[i].ridge;
  CHECK_CLOSE(ridge, difference_of_parameter(op, "ridge", 0.3), 1e-6);
  CHECK(fabs(ridge) > 1e-3);
  CHECK_CLOSE(dk[11], difference(op, k + 11), 1e-6);
  nadaraya_tape_destroy(tape);
  nadaraya_operator_destroy(op);
  REFUSE(nadaraya_operator_create("kernel=biweight ridge=0.3", &none), "ridge goes with mix=linear, quadratic or cubic only");
}

/* Views with strides, an operator for each head, and the weights of all heads. */
static void many_heads(void) {
  static double by_token[queries], expected[outs];
  const char* const options[heads] = {"kernel=biweight mask=causal", "kernel=gaussian",
                                      "kernel=uniform normalization=nearest neighbors=3",
                                      "kernel=epanechnikov normalization=anchored bandwidth=0.5"};
  nadaraya_operator *each[heads], *all;
  nadaraya_input query = nadaraya_input_f64(q, batch, heads, tokens, dim);
  const nadaraya_input key = nadaraya_input_f64(k, batch, key_heads, tokens, dim),
                       value = nadaraya_input_f64(v, batch, key_heads, tokens, value_dim);
  const nadaraya_output result = nadaraya_output_f64(out, batch, heads, tokens, value_dim);
  nadaraya_sparse* weights;
  int b, h, t, d;
  for (h = 0; h < heads; ++h) each[h] = make(options[h]);
  SUCCEED(nadaraya_operator_per_head(each, heads, &all));
  for (h = 0; h < heads; ++h) nadaraya_operator_destroy(each[h]);
  SUCCEED(nadaraya_attend(all, &query, &key, &value, &result, NULL));
  memcpy(expected, out, sizeof out);

  for (b = 0; b < batch; ++b) {
    for (h = 0; h < heads; ++h) {
      for (t = 0; t < tokens; ++t) {
        for (d = 0; d < dim; ++d)
          by_token[((b * tokens + t) * heads + h) * dim + d] = q[((b * heads + h) * tokens + t) * dim + d];
      }
    }
  }
  query.data = by_token;
  query.strides[0] = tokens * heads * dim;
  query.strides[1] = dim;
  query.strides[2] = heads * dim;
  memset(out, 0, sizeof out);
  SUCCEED(nadaraya_attend(all, &query, &key, &value, &result, NULL));
  CHECK(memcmp(out, expected, sizeof out) == 0);

  SUCCEED(nadaraya_weights(all, &query, &key, NULL, &weights));
  CHECK(weights->rows == batch * heads * tokens && weights->cols == tokens &&
        weights->offsets[weights->rows] == weights->count);
  for (t = 0; t < weights->rows; ++t) {
    const int head = t / tokens, key_head = head / heads * key_heads + head % heads * key_heads / heads;
    for (d = 0; d < value_dim; ++d) {
      double sum = 0;
      int64_t i;
      for (i = weights->offsets[t]; i < weights->offsets[t + 1]; ++i) {
        sum += ((const double*)weights->values)[i] * v[(key_head * tokens + weights->columns[i]) * value_dim + d];
      }
      CHECK_CLOSE(sum, expected[t * value_dim + d], 1e-13);
    }
  }
  nadaraya_sparse_destroy(weights);
  query.shape[1] = 2;
  REFUSE(nadaraya_weights(all, &query, &key, NULL, &weights), "there are operators for 4 heads, and query has 2");
  nadaraya_operator_destroy(all);
}

/* Masks of arrays: a causal one in numbers is the one with a name, and a head may have its own. */
static void masks(void) {
  static uint8_t visible[heads * tokens * tokens];
  static float bias[tokens * tokens];
  static double expected[outs], hidden[outs];
  nadaraya_operator *const plain = make("kernel=biweight scale=0.9"),
                          *const causal = make("kernel=biweight scale=0.9 mask=causal");
  nadaraya_operator *const fixed = make("kernel=biweight normalization=fixed bandwidth=1 similarity=euclidean");
  nadaraya_operator *op, *both, *other;
  nadaraya_input added = nadaraya_input_f32(bias, 1, 1, tokens, tokens);
  int h, i, j;
  for (i = 0; i < tokens; ++i) {
    for (j = 0; j < tokens; ++j) {
      for (h = 0; h < heads; ++h) visible[(h * tokens + i) * tokens + j] = (uint8_t)(h == 2 ? 1 : 2 * (j <= i));
      bias[i * tokens + j] = j <= i ? 0.0f : -HUGE_VALF;
    }
  }
  loss(causal);
  memcpy(expected, out, sizeof out);
  SUCCEED(nadaraya_operator_with_visible(plain, visible, 1, tokens, tokens, &op));
  loss(op);
  CHECK(memcmp(out, expected, sizeof out) == 0);
  nadaraya_operator_destroy(op);
  SUCCEED(nadaraya_operator_with_bias(plain, &added, &op));
  loss(op);
  for (i = 0; i < outs; ++i) CHECK_CLOSE(out[i], expected[i], 1e-13);
  nadaraya_operator_destroy(op);

  /* Head 2 sees every key, and a bias of 0 changes nothing; a number of the operator may change under a mask. */
  loss(plain);
  memcpy(hidden, out, sizeof out);
  SUCCEED(nadaraya_operator_with_visible(plain, visible, heads, tokens, tokens, &op));
  SUCCEED(nadaraya_operator_with(op, "scale", 0.9, &both));
  nadaraya_operator_destroy(op);
  memset(bias, 0, sizeof bias);
  SUCCEED(nadaraya_operator_with_bias(both, &added, &op));
  loss(op);
  for (h = 0; h < batch * heads; ++h) {
    for (i = 0; i < tokens * value_dim; ++i) {
      const int at = h * tokens * value_dim + i;
      CHECK_CLOSE(out[at], (h % heads == 2 ? hidden : expected)[at], 1e-13);
    }
  }
  added.shape[1] = 3;
  added.strides[1] = 0;
  REFUSE(nadaraya_operator_with_bias(op, &added, &other), "bias is for 3 heads, and op for 4");
  added.shape[1] = 1;
  added.shape[0] = 2;
  added.strides[0] = 0;
  REFUSE(nadaraya_operator_with_bias(op, &added, &other), "bias must be [1 x heads x queries x keys], got [2 x 1 x 40 x 40]");
  added.shape[0] = 1;
  REFUSE(nadaraya_operator_with_bias(fixed, &added, &other),
         "the normalization compares distances, and an additive bias is none");
  REFUSE(nadaraya_operator_with_visible(plain, NULL, 1, 2, 2, &other), "visible [1 x 1 x 2 x 2] has no data");
  REFUSE(nadaraya_operator_with_visible(plain, visible, 0, 2, 2, &other), "visible must be for at least one head, got 0");
  REFUSE(nadaraya_operator_with_visible(plain, visible, 1, -2, 2, &other), "visible must not have negative sizes");
  CHECK(other == NULL);
  nadaraya_operator_destroy(both);
  SUCCEED(nadaraya_operator_with_visible(plain, visible, 1, 20, 40, &both));
  {
    const nadaraya_input query = nadaraya_input_f64(q, batch, heads, tokens, dim),
                         key = nadaraya_input_f64(k, batch, key_heads, tokens, dim),
                         value = nadaraya_input_f64(v, batch, key_heads, tokens, value_dim);
    const nadaraya_output result = nadaraya_output_f64(out, batch, heads, tokens, value_dim);
    REFUSE(nadaraya_attend(both, &query, &key, &value, &result, NULL), "20");
  }
  nadaraya_operator_destroy(both);
  nadaraya_operator_destroy(op);
  nadaraya_operator_destroy(fixed);
  nadaraya_operator_destroy(causal);
  nadaraya_operator_destroy(plain);
}

/* Sequences behind each other, and padded ones, are calls of their own. */
static void sequences(void) {
  const int64_t offsets[] = {0, 15, tokens}, too_few[] = {0, 15, 30}, lengths[batch] = {tokens, 25}, none[batch] = {tokens, 0};
  const nadaraya_sequences packed = {2, offsets, NULL, NULL, NULL}, padded = {batch, NULL, NULL, lengths, lengths},
                           padded_keys = {batch, NULL, NULL, NULL, none}, wrong = {2, offsets, too_few, NULL, NULL},
                           nothing = {2, NULL, NULL, NULL, NULL}, negative = {-1, offsets, NULL, NULL, NULL},
                           mixed = {2, NULL, offsets, lengths, NULL}, both = {batch, offsets, NULL, lengths, NULL};
  static double one[outs], seed[outs];
  nadaraya_operator* const op = make("kernel=biweight scale=0.9 mask=causal");
  nadaraya_input query = nadaraya_input_f64(q, batch, heads, tokens, dim),
                 key = nadaraya_input_f64(k, batch, key_heads, tokens, dim),
                 value = nadaraya_input_f64(v, batch, key_heads, tokens, value_dim);
  nadaraya_output result = nadaraya_output_f64(out, batch, heads, tokens, value_dim);
  const nadaraya_output grad_query = nadaraya_output_f64(dq, batch, heads, tokens, dim),
                        grad_key = nadaraya_output_f64(dk, batch, key_heads, tokens, dim),
                        grad_value = nadaraya_output_f64(dv, batch, key_heads, tokens, value_dim);
  const nadaraya_input grad_out = nadaraya_input_f64(seed, batch, heads, tokens, value_dim);
  nadaraya_tape* tape;
  int h, i, s;

  SUCCEED(nadaraya_attend_sequences(op, &query, &key, &value, &packed, &result, NULL));
  for (s = 0; s < 2; ++s) {
    nadaraya_input part = query, part_key = key, part_value = value;
    nadaraya_output part_out = result;
    part.data = q + offsets[s] * dim;
    part_key.data = k + offsets[s] * dim;
    part_value.data = v + offsets[s] * value_dim;
    part_out.data = one + offsets[s] * value_dim;
    part.shape[2] = part_key.shape[2] = part_value.shape[2] = part_out.shape[2] = offsets[s + 1] - offsets[s];
    SUCCEED(nadaraya_attend(op, &part, &part_key, &part_value, &part_out, NULL));
  }
  for (i = 0; i < outs; ++i) CHECK_CLOSE(out[i], one[i], 1e-14);
  SUCCEED(nadaraya_attend_sequences(op, &query, &key, &value, NULL, &result, NULL));
  loss(op);
  memcpy(one, out, sizeof out);

  for (i = 0; i < outs; ++i) seed[i] = 1;
  SUCCEED(nadaraya_forward_sequences(op, &query, &key, &value, &padded, &result, NULL, &tape));
  SUCCEED(nadaraya_backward(tape, &grad_out, &grad_query, &grad_key, &grad_value, NULL, NULL));
  nadaraya_tape_destroy(tape);
  for (h = 0; h < batch * heads; ++h) {
    for (i = 0; i < tokens; ++i) {
      const int at = (h * tokens + i) * value_dim;
      CHECK_CLOSE(out[at], i < lengths[h / heads] ? one[at] : 0.0, 1e-14);
      if (i >= lengths[h / heads]) CHECK(dq[(h * tokens + i) * dim] == 0);
    }
  }
  CHECK(dk[keys - 1] == 0 && dv[values - 1] == 0 && dv[0] != 0);
  SUCCEED(nadaraya_forward_sequences(op, &query, &key, &value, &padded_keys, &result, NULL, &tape));
  CHECK(nadaraya_tape_empty_rows(tape) == heads * tokens);
  nadaraya_tape_destroy(tape);

  out[0] = 7;
  REFUSE(nadaraya_attend_sequences(op, &query, &key, &value, &wrong, &result, NULL),
         "nadaraya_attend_sequences: the offsets of key must rise from 0 to its 40 tokens");
  REFUSE(nadaraya_attend_sequences(op, &query, &key, &value, &nothing, &result, NULL),
         "sequences must have query_offsets or lengths");
  REFUSE(nadaraya_attend_sequences(op, &query, &key, &value, &negative, &result, NULL),
         "count of sequences must not be negative");
  REFUSE(nadaraya_attend_sequences(op, &query, &key, &value, &mixed, &result, NULL), "key_offsets must have query_offsets");
  REFUSE(nadaraya_forward_sequences(op, &query, &key, &value, &both, &result, NULL, &tape), "either offsets or lengths");
  CHECK(out[0] == 7 && tape == NULL);
  nadaraya_operator_destroy(op);
}

/* Two sequences of 40 and 25 tokens, token by token and forked. */
static void decoding(void) {
  nadaraya_operator* const op = make("kernel=biweight similarity=euclidean scale=0.8 mask=causal");
  nadaraya_operator* const other = make("kernel=biweight");
  nadaraya_cache *caches[batch], *fork;
  static double expected[outs], last[batch * heads * dim], decoded[batch * heads * value_dim];
  nadaraya_input query = nadaraya_input_f64(last, batch, heads, 1, dim);
  const nadaraya_output result = nadaraya_output_f64(decoded, batch, heads, 1, value_dim);
  const int lengths[batch] = {tokens, 25};
  int b, h, t, d;

  loss(op);
  memcpy(expected, out, sizeof out);
  for (b = 0; b < batch; ++b) {
    SUCCEED(nadaraya_cache_create(op, NADARAYA_FLOAT64, key_heads, dim, value_dim, caches + b));
    SUCCEED(nadaraya_cache_reserve(caches[b], tokens));
    for (t = 0; t < lengths[b]; ++t) {
      nadaraya_input key = nadaraya_input_f64(k + (b * key_heads * tokens + t) * dim, 1, key_heads, 1, dim),
                     value = nadaraya_input_f64(v + (b * key_heads * tokens + t) * value_dim, 1, key_heads, 1, value_dim);
      key.strides[1] = tokens * dim;
      value.strides[1] = tokens * value_dim;
      SUCCEED(nadaraya_cache_append(caches[b], &key, &value));
    }
    CHECK(nadaraya_cache_tokens(caches[b]) == lengths[b]);
    for (h = 0; h < heads; ++h) {
      for (d = 0; d < dim; ++d) last[(b * heads + h) * dim + d] = q[((b * heads + h) * tokens + lengths[b] - 1) * dim + d];
    }
  }
  SUCCEED(nadaraya_decode(op, &query, caches, batch, &result, NULL));
  for (b = 0; b < batch; ++b) {
    for (h = 0; h < heads; ++h) {
      for (d = 0; d < value_dim; ++d) {
        CHECK_CLOSE(decoded[(b * heads + h) * value_dim + d],
                    expected[((b * heads + h) * tokens + lengths[b] - 1) * value_dim + d], 1e-13);
      }
    }
  }
  REFUSE(nadaraya_decode(other, &query, caches, batch, &result, NULL),
         "cache 0 is for similarity=euclidean, and op has similarity=dot");
  REFUSE(nadaraya_decode(op, &query, caches, 1, &result, NULL), "query [2 x 4 x 1 x 5] needs 2 caches, got 1");

  SUCCEED(nadaraya_cache_copy(caches[0], &fork));
  SUCCEED(nadaraya_cache_truncate(caches[0], 25));
  CHECK(nadaraya_cache_tokens(caches[0]) == 25 && nadaraya_cache_tokens(fork) == tokens);
  REFUSE(nadaraya_cache_truncate(caches[0], 26), "nadaraya_cache_truncate: tokens must lie between 0 and 25, got 26");
  nadaraya_cache_destroy(caches[0]);
  query = nadaraya_input_f64(last, 1, heads, 1, dim);
  {
    const nadaraya_output first = nadaraya_output_f64(decoded, 1, heads, 1, value_dim);
    memset(decoded, 0, sizeof decoded);
    SUCCEED(nadaraya_decode(op, &query, &fork, 1, &first, NULL));
    CHECK_CLOSE(decoded[0], expected[(tokens - 1) * value_dim], 1e-13);
  }
  SUCCEED(nadaraya_cache_forget_oldest(fork, 1));
  CHECK(nadaraya_cache_tokens(fork) == tokens - 1);
  REFUSE(nadaraya_cache_forget_oldest(fork, tokens), "tokens must lie between 0 and 39, got 40");
  query = nadaraya_input_f64(k, 1, key_heads, 2, dim);
  REFUSE(nadaraya_cache_append(fork, &query, &query),
         "key and value must be [b x 2 x n x 5] and [b x 2 x n x 3], got [1 x 2 x 2 x 5] and [1 x 2 x 2 x 5]");
  CHECK(nadaraya_cache_tokens(fork) == tokens - 1);
  nadaraya_cache_destroy(fork);
  nadaraya_cache_destroy(caches[1]);
  nadaraya_operator_destroy(other);
  nadaraya_operator_destroy(op);
}

static void refusals(void) {
  static const struct {
    const char *options, *message;
  } wrong[] = {
      {"", "kernel must be one of epanechnikov, biweight"},
      {"kernel=box", "got 'box'"},
      {"kernel=biweight kernel=gaussian", "kernel is given twice"},
      {"kernel=biweight colour=red", "there is no option 'colour'"},
      {"kernel", "options are name=value, got 'kernel'"},
      {"kernel=biweight scale=1,5", "scale must be a number, got '1,5'"},
      {"kernel=biweight scale=nan", "scale must be a number, got 'nan'"},
      {"kernel=polynomial", "kernel=polynomial needs exponent or alpha"},
      {"kernel=polynomial alpha=1", "alpha must be finite and exceed 1"},
      {"kernel=biweight alpha=1.5", "exponent or alpha goes with kernel=polynomial only"},
      {"kernel=biweight normalization=fixed similarity=cosine", "needs bandwidth"},
      {"kernel=biweight normalization=fixed bandwidth=1", "similarity=dot is none"},
      {"kernel=uniform", "its profile jumps"},
      {"kernel=biweight mask=window window=2.5", "window must be a whole number"},
      {"kernel=biweight normalization=unnormalized similarity=cosine bandwidth=1 mass=0", "mass must be positive"},
      {"kernel=biweight mass=2", "mass goes with normalization=unnormalized only"},
      {"kernel=biweight similarity=cosine scale=-1", "scale must be positive"},
  };
  const float x[4] = {0, 0, 0, 0};
  const double x_double[1] = {0};
  float y[4] = {7, 7, 7, 7};
  const nadaraya_input query = nadaraya_input_f32(x, 1, 1, 2, 2), key = nadaraya_input_f32(x, 1, 1, 1, 4),
                       other_type = nadaraya_input_f64(x_double, 1, 1, 1, 1), nothing = nadaraya_input_f32(NULL, 1, 1, 2, 2);
  nadaraya_input bad = query;
  const nadaraya_output out_of_two = nadaraya_output_f32(y, 1, 1, 2, 2);
  nadaraya_operator* op;
  nadaraya_workspace* workspace;
  nadaraya_tape* tape;
  size_t i;
  for (i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    op = (nadaraya_operator*)&op;
    REFUSE(nadaraya_operator_create(wrong[i].options, &op), wrong[i].message);
    CHECK(op == NULL);
    CHECK(strncmp(nadaraya_last_error(), "nadaraya_operator_create: ", 26) == 0);
  }
  REFUSE(nadaraya_operator_create(NULL, &op), "options must not be NULL");
  REFUSE(nadaraya_operator_create("kernel=biweight", NULL), "created must not be NULL");
  REFUSE(nadaraya_workspace_create(0, &workspace), "nadaraya_workspace_create: threads must be at least 1, got 0");

  op = make("kernel=biweight scale=1");
  REFUSE(nadaraya_attend(op, &query, &key, &query, &out_of_two, NULL),
         "nadaraya_attend: query and key must have the same batch and dim, got [1 x 1 x 2 x 2] and [1 x 1 x 1 x 4]");
  REFUSE(nadaraya_forward(op, &query, &other_type, &query, &out_of_two, NULL, &tape),
         "all arrays must have one type; key has type 2");
  CHECK(tape == NULL);
  REFUSE(nadaraya_attend(op, &query, &nothing, &query, &out_of_two, NULL), "key [1 x 1 x 2 x 2] has no data");
  REFUSE(nadaraya_attend(op, NULL, &query, &query, &out_of_two, NULL), "query must not be NULL");
  REFUSE(nadaraya_attend(NULL, &query, &query, &query, &out_of_two, NULL), "op must not be NULL");
  bad.type = 0;
  REFUSE(nadaraya_attend(op, &bad, &query, &query, &out_of_two, NULL),
         "type must be NADARAYA_FLOAT32 or NADARAYA_FLOAT64, got 0");
  bad = query;
  bad.shape[2] = -1;
  REFUSE(nadaraya_attend(op, &query, &bad, &query, &out_of_two, NULL), "key must not have negative sizes");
  bad.shape[2] = INT64_MAX;
  REFUSE(nadaraya_attend(op, &query, &bad, &query, &out_of_two, NULL), "too many elements");
  bad = query;
  bad.strides[2] = INT64_MIN;
  REFUSE(nadaraya_attend(op, &query, &bad, &query, &out_of_two, NULL), "stride that is too large");
  bad = query;
  bad.data = (const char*)x + 1;
  REFUSE(nadaraya_attend(op, &query, &bad, &query, &out_of_two, NULL), "the data of key must be aligned");
  bad = query;
  bad.data = y;
  REFUSE(nadaraya_attend(op, &query, &bad, &query, &out_of_two, NULL), "out [1 x 1 x 2 x 2] must not share memory with key");
  for (i = 0; i < 4; ++i) CHECK(y[i] == 7);
  nadaraya_operator_destroy(op);

  /* A scale that is a number in double, and 0 in float. */
  op = make("kernel=biweight scale=1e-60");
  REFUSE(nadaraya_attend(op, &query, &query, &query, &out_of_two, NULL), "scale=1e-60 is out of the range of float32");
  nadaraya_operator_destroy(op);

  nadaraya_operator_destroy(NULL);
  nadaraya_tape_destroy(NULL);
  nadaraya_sparse_destroy(NULL);
  nadaraya_cache_destroy(NULL);
  nadaraya_workspace_destroy(NULL);
  CHECK(nadaraya_cache_tokens(NULL) == -1 && nadaraya_tape_empty_rows(NULL) == -1 && isnan(nadaraya_tape_mean_support(NULL)));
}

int main(void) {
  CHECK(strcmp(nadaraya_last_error(), "") == 0);
  version();
  attention_of_constants();
  rows_of_scores();
  losses_of_scores();
  fill();
  gradients();
  linear_mix();
  many_heads();
  masks();
  sequences();
  decoding();
  refusals();
  if (failures > 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures > 0;
}
