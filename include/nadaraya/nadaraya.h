// The C interface: kernel-regression attention for C99, and for every language that can call C.
// Library: nadaraya_c (CMake target nadaraya::c, pkg-config nadaraya_c). It needs neither C++ nor Eigen to be used.
//
//   nadaraya_operator* op;
//   if (nadaraya_operator_create("kernel=biweight mask=causal", &op) != NADARAYA_SUCCESS) puts(nadaraya_last_error());
//   nadaraya_attend(op, &query, &key, &value, &out, NULL);
//   nadaraya_operator_destroy(op);
//
// Every function that can fail returns a status, and nadaraya_last_error() says in one sentence which argument of which
// function is wrong. After NADARAYA_INVALID_ARGUMENT nothing has been written, except that the handle to be created is NULL.
// Destroying NULL does nothing. Several threads may use a handle at the same time, unless one of them changes it
// (nadaraya_cache_append and other functions that take it without const) or destroys it.
#ifndef NADARAYA_NADARAYA_H
#define NADARAYA_NADARAYA_H

#include "nadaraya/version.hpp" /* macros, for C as well */

#include <stdint.h>

#if defined(_WIN32) && defined(NADARAYA_C_EXPORTS)
#define NADARAYA_EXPORTED __declspec(dllexport)
#elif defined(__GNUC__)
#define NADARAYA_EXPORTED __attribute__((visibility("default")))
#else
#define NADARAYA_EXPORTED
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nadaraya_status {
  NADARAYA_SUCCESS = 0,
  NADARAYA_INVALID_ARGUMENT = 1,
  NADARAYA_OUT_OF_MEMORY = 2,
  NADARAYA_FAILURE = 3 /* anything else, such as threads that cannot be started */
} nadaraya_status;

/// Returns the message of the last call that failed on this thread, "" if none has. Valid until the next that fails.
NADARAYA_EXPORTED const char* nadaraya_last_error(void);

/// Returns the version of the library as "major.minor.patch"; NADARAYA_VERSION_STRING is that of this header.
NADARAYA_EXPORTED const char* nadaraya_version(void);

/* ---- Arrays ---------------------------------------------------------------------------------------------------------- */

typedef enum nadaraya_type { NADARAYA_FLOAT32 = 1, NADARAYA_FLOAT64 = 2 } nadaraya_type;

/// A view of [batch, heads, tokens, dim] elements in memory of the caller. Strides count elements, and may be any; rows
/// whose elements lie next to each other (strides[3] = 1) are read in place, others are copied. A matrix [N, D] is
/// [1, 1, N, D]. All arrays of a call have one type.
typedef struct nadaraya_input {
  const void* data;   /* aligned to an element; may be NULL where there are none */
  int64_t shape[4];   /* batch, heads, tokens, dim */
  int64_t strides[4]; /* in elements */
  int32_t type;       /* a nadaraya_type */
} nadaraya_input;

/// A view like nadaraya_input, that is written to. No two of its elements may share memory, nor any with an input.
typedef struct nadaraya_output {
  void* data;
  int64_t shape[4];
  int64_t strides[4];
  int32_t type;
} nadaraya_output;

/* ---- Operators ------------------------------------------------------------------------------------------------------- */

/// A choice of kernel, normalization, similarity, mask and mix. It never changes.
typedef struct nadaraya_operator nadaraya_operator;

/// Creates an operator from options, name=value, with spaces between them, in any order:
///   kernel         epanechnikov (sparsemax), biweight (1.5-entmax), triweight, polynomial, gaussian (softmax), uniform;
///                  there is no default
///   exponent       of the polynomial kernel, r > 0; or instead:
///   alpha          of the polynomial kernel, 1 + 1/r > 1
///   normalization  adaptive (default), fixed, anchored, nearest, unnormalized
///   bandwidth      of fixed, anchored and unnormalized, > 0
///   mass           by which unnormalized divides, > 0, default 1
///   neighbors      of nearest, >= 1
///   similarity     dot (default), cosine, euclidean
///   scale          of the similarity; default 1/sqrt(dim) for dot, 1 for the others
///   mask           none (default), causal, strictly-causal, window; aligned to the last key
///   window         keys that the mask window leaves visible, >= 1
///   mix            constant (default): the weighted mean of the values; linear, quadratic, cubic: the value at the query of
///                  the polynomial of that degree fitted to them (quadratic and cubic: dim at most 3)
///   ridge          of the fits, a squared distance > 0, default 1e-6
/// Numbers are written as in C, whatever the locale.
NADARAYA_EXPORTED nadaraya_status nadaraya_operator_create(const char* options, nadaraya_operator** created);

/// Creates an operator like another, but for one number: exponent, alpha, bandwidth, mass, neighbors, scale, window or
/// ridge.
/// It must be one that the other was given, or scale, which every operator has. An operator for several heads changes it in
/// all of them.
NADARAYA_EXPORTED nadaraya_status nadaraya_operator_with(const nadaraya_operator* op, const char* name, double value,
                                                         nadaraya_operator** created);

/// Creates an operator for arrays with `count` query heads, one of the given operators for each. These may be destroyed.
NADARAYA_EXPORTED nadaraya_status nadaraya_operator_per_head(nadaraya_operator* const* heads, int64_t count,
                                                             nadaraya_operator** created);

/// Creates an operator like another under whose mask, too, key j is visible to query i of head h iff
/// visible[(h * queries + i) * keys + j] is not 0: an array [heads, Nq, Nk] without gaps, which is copied. `heads` is 1, for
/// all query heads, or their number. Calls with other numbers of queries and keys are refused. Where batch entries differ,
/// each is a call of its own.
NADARAYA_EXPORTED nadaraya_status nadaraya_operator_with_visible(const nadaraya_operator* op, const uint8_t* visible,
                                                                 int64_t heads, int64_t queries, int64_t keys,
                                                                 nadaraya_operator** created);

/// Creates an operator like another that adds bias[0, h, i, j] to the similarity of query i and key j in head h: an array
/// [1, heads, Nq, Nk], which is copied, of either type whatever that of the calls. `heads` is 1, for all query heads, or their
/// number. -infinity hides a pair. The bias is a constant; it is refused where the normalization compares distances (fixed,
/// unnormalized, nearest with a compact kernel).
NADARAYA_EXPORTED nadaraya_status nadaraya_operator_with_bias(const nadaraya_operator* op, const nadaraya_input* bias,
                                                              nadaraya_operator** created);

NADARAYA_EXPORTED void nadaraya_operator_destroy(nadaraya_operator* op);

/* ---- Threads --------------------------------------------------------------------------------------------------------- */

/// A number of threads and their scratch memory, which outlives a call. Every call takes one, or NULL for the calling
/// thread and fresh scratch memory. Results do not depend on it, bit for bit.
typedef struct nadaraya_workspace nadaraya_workspace;

/// Creates a workspace for up to `threads` threads, >= 1. They are used where they have enough work.
NADARAYA_EXPORTED nadaraya_status nadaraya_workspace_create(int threads, nadaraya_workspace** created);
NADARAYA_EXPORTED void nadaraya_workspace_destroy(nadaraya_workspace* workspace);

/// Returns the number of processors that this process may use.
NADARAYA_EXPORTED int nadaraya_processors(void);

/* ---- Attention ------------------------------------------------------------------------------------------------------- */

/// Computes out_i = sum_j p_ij v_j for every head.
/// query [B, H, Nq, D], key [B, Hk, Nk, D], value [B, Hk, Nk, Dv] -> out [B, H, Nq, Dv]; Hk divides H, and query head h reads
/// key head h * Hk / H. A query without visible keys in its support gives zeros.
NADARAYA_EXPORTED nadaraya_status nadaraya_attend(const nadaraya_operator* op, const nadaraya_input* query,
                                                  const nadaraya_input* key, const nadaraya_input* value,
                                                  const nadaraya_output* out, const nadaraya_workspace* workspace);

/// Which tokens belong together; a sequence sees nothing else, and masks count from its own beginning and end. Either offsets,
/// of sequences that lie behind each other along the tokens, alike in every batch entry (cu_seqlens elsewhere): sequence s has
/// the queries query_offsets[s] to query_offsets[s + 1] - 1 and the keys key_offsets[s] to key_offsets[s + 1] - 1. Or lengths,
/// of one sequence for each batch entry b, whose first query_lengths[b] queries and key_lengths[b] keys are real; outputs and
/// gradients of the padding behind them are 0, whatever it holds.
typedef struct nadaraya_sequences {
  int64_t count;                /* of sequences or, with lengths, of batch entries */
  const int64_t* query_offsets; /* count + 1, rising from 0 to Nq; NULL with lengths */
  const int64_t* key_offsets;   /* count + 1, rising from 0 to Nk; NULL: those of the queries */
  const int64_t* query_lengths; /* count, at most Nq; NULL: all queries are real */
  const int64_t* key_lengths;   /* count, at most Nk; NULL: all keys are real */
} nadaraya_sequences;

/// Computes what nadaraya_attend does for each sequence on its own. `sequences` may be NULL, for one that has all tokens.
NADARAYA_EXPORTED nadaraya_status nadaraya_attend_sequences(const nadaraya_operator* op, const nadaraya_input* query,
                                                            const nadaraya_input* key, const nadaraya_input* value,
                                                            const nadaraya_sequences* sequences, const nadaraya_output* out,
                                                            const nadaraya_workspace* workspace);

/// What a forward pass hands to backward. It refers to query, key and value: keep these unchanged until it is destroyed.
typedef struct nadaraya_tape nadaraya_tape;

/// Computes what nadaraya_attend does, and a tape.
NADARAYA_EXPORTED nadaraya_status nadaraya_forward(const nadaraya_operator* op, const nadaraya_input* query,
                                                   const nadaraya_input* key, const nadaraya_input* value,
                                                   const nadaraya_output* out, const nadaraya_workspace* workspace,
                                                   nadaraya_tape** created);
/// Computes what nadaraya_attend_sequences does, and a tape, which keeps a copy of `sequences`.
NADARAYA_EXPORTED nadaraya_status nadaraya_forward_sequences(const nadaraya_operator* op, const nadaraya_input* query,
                                                             const nadaraya_input* key, const nadaraya_input* value,
                                                             const nadaraya_sequences* sequences, const nadaraya_output* out,
                                                             const nadaraya_workspace* workspace, nadaraya_tape** created);
NADARAYA_EXPORTED void nadaraya_tape_destroy(nadaraya_tape* tape);

/// Returns how many keys have weight, a mean over the queries of all heads; 0 without queries, NaN of NULL.
NADARAYA_EXPORTED double nadaraya_tape_mean_support(const nadaraya_tape* tape);
/// Returns the number of queries to which no key has weight, -1 of NULL.
NADARAYA_EXPORTED int64_t nadaraya_tape_empty_rows(const nadaraya_tape* tape);

/// Gradients by the parameters of one query head, 0 where its operator does not have the parameter.
typedef struct nadaraya_parameters {
  double scale;
  double bandwidth;
  double alpha; /* of the polynomial kernel; alpha = 1 + 1/exponent */
  double ridge; /* of the mixes but constant */
} nadaraya_parameters;

/// Overwrites the gradients of a loss by query, key and value, given that by the output of the forward pass. Where
/// `parameters` is not NULL, it has an element for each query head, which is overwritten as well (a sum over the batch).
NADARAYA_EXPORTED nadaraya_status nadaraya_backward(const nadaraya_tape* tape, const nadaraya_input* grad_out,
                                                    const nadaraya_output* grad_query, const nadaraya_output* grad_key,
                                                    const nadaraya_output* grad_value, nadaraya_parameters* parameters,
                                                    const nadaraya_workspace* workspace);

/// Weights in compressed sparse rows, as scipy.sparse.csr_matrix has them: those of row i are values[offsets[i]] to
/// values[offsets[i + 1] - 1], of the keys columns[...], which increase. Row (b * H + h) * Nq + i is query i of head h.
typedef struct nadaraya_sparse {
  int64_t rows, cols, count; /* B * H * Nq, Nk, and the number of weights */
  const int64_t* offsets;    /* rows + 1 */
  const int32_t* columns;    /* count */
  const void* values;        /* count, of the type */
  int32_t type;
} nadaraya_sparse;

/// Creates the weights p_ij of all heads: query [B, H, Nq, D], key [B, Hk, Nk, D].
NADARAYA_EXPORTED nadaraya_status nadaraya_weights(const nadaraya_operator* op, const nadaraya_input* query,
                                                   const nadaraya_input* key, const nadaraya_workspace* workspace,
                                                   nadaraya_sparse** created);
NADARAYA_EXPORTED void nadaraya_sparse_destroy(nadaraya_sparse* weights);

/* ---- Decoding -------------------------------------------------------------------------------------------------------- */

/// The cached keys and values of one sequence, all key heads of a layer, for operators of one similarity.
typedef struct nadaraya_cache nadaraya_cache;

/// Creates an empty cache for the similarity of an operator. type: a nadaraya_type; key_heads >= 1.
NADARAYA_EXPORTED nadaraya_status nadaraya_cache_create(const nadaraya_operator* op, int32_t type, int64_t key_heads,
                                                        int64_t key_dim, int64_t value_dim, nadaraya_cache** created);
/// Creates an independent copy of a cache, as for a beam.
NADARAYA_EXPORTED nadaraya_status nadaraya_cache_copy(const nadaraya_cache* cache, nadaraya_cache** created);
NADARAYA_EXPORTED void nadaraya_cache_destroy(nadaraya_cache* cache);

/// Returns the number of tokens in the cache, -1 of NULL.
NADARAYA_EXPORTED int64_t nadaraya_cache_tokens(const nadaraya_cache* cache);
/// Makes room for a number of tokens: append then copies no earlier one until there are more.
NADARAYA_EXPORTED nadaraya_status nadaraya_cache_reserve(nadaraya_cache* cache, int64_t tokens);
/// Appends copies of key [1, Hk, t, D] and value [1, Hk, t, Dv]. After a failure the cache is unchanged.
NADARAYA_EXPORTED nadaraya_status nadaraya_cache_append(nadaraya_cache* cache, const nadaraya_input* key,
                                                        const nadaraya_input* value);
/// Drops all tokens but the first few, as after rejected drafts.
NADARAYA_EXPORTED nadaraya_status nadaraya_cache_truncate(nadaraya_cache* cache, int64_t tokens);
/// Drops the oldest tokens, so that memory stays bounded under a sliding window.
NADARAYA_EXPORTED nadaraya_status nadaraya_cache_forget_oldest(nadaraya_cache* cache, int64_t tokens);

/// Computes what nadaraya_attend does with the keys and values of caches, one for each batch entry of query
/// [B, H, Nq, D]; their lengths may differ. out [B, H, Nq, Dv].
NADARAYA_EXPORTED nadaraya_status nadaraya_decode(const nadaraya_operator* op, const nadaraya_input* query,
                                                  nadaraya_cache* const* caches, int64_t count,
                                                  const nadaraya_output* out, const nadaraya_workspace* workspace);

/* ---- Softmax, sparsemax, entmax -------------------------------------------------------------------------------------- */

/// Computes p_j = [(alpha - 1) x_j - tau]_+^(1 / (alpha - 1)) of each row of scores, with the tau that makes them sum to 1.
/// alpha >= 1; 1 is softmax, 2 sparsemax. A row is what the last dimension holds; x and p have one shape.
NADARAYA_EXPORTED nadaraya_status nadaraya_entmax(const nadaraya_input* x, double alpha, const nadaraya_output* p);

/// Computes dL/dx of each row from p = entmax(x, alpha) and dL/dp; all have one shape.
NADARAYA_EXPORTED nadaraya_status nadaraya_entmax_pullback(const nadaraya_input* p, const nadaraya_input* grad_p, double alpha,
                                                           const nadaraya_output* grad_x);

/// Computes dL/dalpha, a sum over all rows, from the scores x and dL/dp, which have one shape.
NADARAYA_EXPORTED nadaraya_status nadaraya_entmax_alpha_gradient(const nadaraya_input* x, const nadaraya_input* grad_p,
                                                                 double alpha, double* gradient);

/// Computes the Fenchel-Young loss of each row of scores [., ., N, C], L(z, y) = Omega(y) - Omega(p) + z.(p - y) with
/// p = entmax(z, alpha), into losses [., ., N, 1], and p - y, the gradient of their sum, into grad_scores, of the shape of
/// scores. alpha >= 1; 1 is cross-entropy less the entropy of y. targets: distributions y, of the shape of scores; no entry is
/// negative, and a row sums to 1 within 1e-4.
NADARAYA_EXPORTED nadaraya_status nadaraya_entmax_loss(const nadaraya_input* scores, const nadaraya_input* targets,
                                                       double alpha, const nadaraya_output* losses,
                                                       const nadaraya_output* grad_scores);

/// Computes what nadaraya_entmax_loss does for targets that are classes, one in [0, C) for each row, without gaps.
NADARAYA_EXPORTED nadaraya_status nadaraya_entmax_loss_of_classes(const nadaraya_input* scores, const int64_t* classes,
                                                                  double alpha, const nadaraya_output* losses,
                                                                  const nadaraya_output* grad_scores);

#ifdef __cplusplus
}
#endif

#undef NADARAYA_EXPORTED

/* ---- Views of contiguous memory -------------------------------------------------------------------------------------- */

#define NADARAYA_CONTIGUOUS(View, Pointer, name, Type)                                                                  \
  static inline View name(Pointer data, int64_t batch, int64_t heads, int64_t tokens, int64_t dim) {                    \
    View view;                                                                                                          \
    view.data = data;                                                                                                   \
    view.shape[0] = batch;                                                                                              \
    view.shape[1] = heads;                                                                                              \
    view.shape[2] = tokens;                                                                                             \
    view.shape[3] = dim;                                                                                                \
    view.strides[3] = 1;                                                                                                \
    view.strides[2] = dim;                                                                                              \
    view.strides[1] = tokens * dim;                                                                                     \
    view.strides[0] = heads * tokens * dim;                                                                             \
    view.type = Type;                                                                                                   \
    return view;                                                                                                        \
  }

/// Views of contiguous [batch, heads, tokens, dim].
NADARAYA_CONTIGUOUS(nadaraya_input, const float*, nadaraya_input_f32, NADARAYA_FLOAT32)
NADARAYA_CONTIGUOUS(nadaraya_input, const double*, nadaraya_input_f64, NADARAYA_FLOAT64)
NADARAYA_CONTIGUOUS(nadaraya_output, float*, nadaraya_output_f32, NADARAYA_FLOAT32)
NADARAYA_CONTIGUOUS(nadaraya_output, double*, nadaraya_output_f64, NADARAYA_FLOAT64)

#undef NADARAYA_CONTIGUOUS

#endif
