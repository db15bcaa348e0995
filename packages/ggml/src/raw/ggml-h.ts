/**
 * Prototypes of ggml.h, ggml 0.23.0: C name to C parameter list, grouped by what is returned.
 *
 * Only what Tuneyard calls. Upstream: https://github.com/ggml-org/ggml, include/ggml.h.
 */

/** Functions of ggml.h that return a tensor, a context or a graph. */
export const GGML_POINTER_FUNCTIONS = {
  ggml_init: 'ggml_init_params params',
  ggml_new_tensor_4d: 'void* ctx, int type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3',
  ggml_add: 'void* ctx, void* a, void* b',
  ggml_add_inplace: 'void* ctx, void* a, void* b',
  ggml_sub: 'void* ctx, void* a, void* b',
  ggml_mul: 'void* ctx, void* a, void* b',
  ggml_mul_mat: 'void* ctx, void* a, void* b',
  ggml_out_prod: 'void* ctx, void* a, void* b',
  ggml_silu_back: 'void* ctx, void* a, void* b',
  ggml_swiglu_split: 'void* ctx, void* a, void* b',
  ggml_repeat: 'void* ctx, void* a, void* b',
  ggml_repeat_back: 'void* ctx, void* a, void* b',
  ggml_cpy: 'void* ctx, void* a, void* b',
  ggml_get_rows: 'void* ctx, void* a, void* b',
  ggml_cross_entropy_loss: 'void* ctx, void* a, void* b',
  ggml_concat: 'void* ctx, void* a, void* b, int dim',
  ggml_set_rows: 'void* ctx, void* a, void* b, void* c',
  ggml_get_rows_back: 'void* ctx, void* a, void* b, void* c',
  ggml_transpose: 'void* ctx, void* a',
  ggml_cont: 'void* ctx, void* a',
  ggml_silu: 'void* ctx, void* a',
  ggml_log: 'void* ctx, void* a',
  ggml_sum: 'void* ctx, void* a',
  ggml_sum_rows: 'void* ctx, void* a',
  ggml_sqr: 'void* ctx, void* a',
  ggml_soft_max: 'void* ctx, void* a',
  ggml_scale: 'void* ctx, void* a, float s',
  ggml_scale_bias: 'void* ctx, void* a, float s, float b',
  ggml_cast: 'void* ctx, void* a, int type',
  ggml_rms_norm: 'void* ctx, void* a, float eps',
  ggml_rms_norm_back: 'void* ctx, void* a, void* b, float eps',
  ggml_permute: 'void* ctx, void* a, int axis0, int axis1, int axis2, int axis3',
  ggml_reshape_4d: 'void* ctx, void* a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3',
  ggml_view_4d:
    'void* ctx, void* a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3, size_t nb1, size_t nb2, size_t nb3, size_t offset',
  ggml_soft_max_ext: 'void* ctx, void* a, void* mask, float scale, float max_bias',
  ggml_soft_max_ext_back: 'void* ctx, void* a, void* b, float scale, float max_bias',
  ggml_rope_ext:
    'void* ctx, void* a, void* b, void* c, int n_dims, int mode, int n_ctx_orig, float freq_base, float freq_scale, float ext_factor, float attn_factor, float beta_fast, float beta_slow',
  ggml_rope_ext_back:
    'void* ctx, void* a, void* b, void* c, int n_dims, int mode, int n_ctx_orig, float freq_base, float freq_scale, float ext_factor, float attn_factor, float beta_fast, float beta_slow',
  ggml_opt_step_adamw: 'void* ctx, void* a, void* grad, void* m, void* v, void* adamw_params',
  ggml_new_graph_custom: 'void* ctx, size_t size, bool grads',
  ggml_graph_node: 'void* graph, int i',
  ggml_get_type_traits: 'int type',
} as const;

/** Functions of ggml.h that return a number. */
export const GGML_NUMBER_FUNCTIONS = {
  ggml_tensor_overhead: ['size_t', ''],
  ggml_graph_overhead_custom: ['size_t', 'size_t size, bool grads'],
  ggml_graph_n_nodes: ['int', 'void* graph'],
  ggml_nbytes: ['size_t', 'void* tensor'],
  ggml_type_size: ['size_t', 'int type'],
  ggml_blck_size: ['int64_t', 'int type'],
  ggml_row_size: ['size_t', 'int type, int64_t ne'],
  ggml_quantize_chunk: [
    'size_t',
    'int type, void* src, void* dst, int64_t start, int64_t nrows, int64_t n_per_row, void* imatrix',
  ],
} as const;

/** Functions of ggml.h that return nothing. */
export const GGML_VOID_FUNCTIONS = {
  ggml_free: 'void* ctx',
  ggml_set_name: 'void* tensor, str name',
  ggml_set_param: 'void* tensor',
  ggml_set_loss: 'void* tensor',
  ggml_set_input: 'void* tensor',
  ggml_set_output: 'void* tensor',
  ggml_build_forward_expand: 'void* graph, void* tensor',
  ggml_build_backward_expand: 'void* ctx, void* graph, void* grad_accs',
  ggml_graph_reset: 'void* graph',
} as const;

/** Functions of ggml.h that return text. */
export const GGML_TEXT_FUNCTIONS = {
  ggml_version: '',
  ggml_op_desc: 'void* tensor',
  ggml_get_name: 'void* tensor',
} as const;
