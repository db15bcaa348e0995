/**
 * Prototypes of ggml-backend.h, ggml-alloc.h and ggml-cpu.h, ggml 0.23.0.
 *
 * Only what Tuneyard calls. Upstream: https://github.com/ggml-org/ggml, include/.
 */

/** Functions of libggml-base that return a backend, buffer, buffer type, device or registry. */
export const BACKEND_POINTER_FUNCTIONS = {
  ggml_backend_alloc_ctx_tensors: 'void* ctx, void* backend',
  ggml_backend_alloc_ctx_tensors_from_buft: 'void* ctx, void* buft',
  ggml_backend_get_default_buffer_type: 'void* backend',
  ggml_backend_reg_dev_get: 'void* reg, size_t index',
  ggml_backend_reg_get_proc_address: 'void* reg, str name',
  ggml_gallocr_new: 'void* buft',
} as const;

/** Functions of libggml-base that return a number. */
export const BACKEND_NUMBER_FUNCTIONS = {
  ggml_backend_graph_compute: ['int', 'void* backend, void* graph'],
  ggml_backend_buffer_get_size: ['size_t', 'void* buffer'],
  ggml_gallocr_alloc_graph: ['bool', 'void* galloc, void* graph'],
  ggml_gallocr_reserve: ['bool', 'void* galloc, void* graph'],
  ggml_gallocr_get_buffer_size: ['size_t', 'void* galloc, int buffer_id'],
  ggml_backend_dev_supports_op: ['bool', 'void* dev, void* op'],
} as const;

/** Functions of libggml-base that return nothing. */
export const BACKEND_VOID_FUNCTIONS = {
  ggml_backend_free: 'void* backend',
  ggml_backend_buffer_free: 'void* buffer',
  ggml_backend_tensor_set: 'void* tensor, const void* data, size_t offset, size_t size',
  ggml_backend_tensor_get: 'void* tensor, _Out_ void* data, size_t offset, size_t size',
  ggml_backend_tensor_memset: 'void* tensor, uint8_t value, size_t offset, size_t size',
  ggml_gallocr_free: 'void* galloc',
  ggml_gallocr_reserve_n_size:
    'void* galloc, void* graph, void* node_buffer_ids, void* leaf_buffer_ids, _Out_ size_t* sizes',
} as const;

/** Functions of libggml-base that return text. */
export const BACKEND_TEXT_FUNCTIONS = {
  ggml_backend_reg_name: 'void* reg',
  ggml_backend_dev_name: 'void* dev',
  ggml_backend_dev_description: 'void* dev',
  ggml_backend_buft_name: 'void* buft',
} as const;

/** Functions of a libggml-cpu variant. */
export const CPU_POINTER_FUNCTIONS = {
  ggml_backend_cpu_init: '',
  ggml_backend_cpu_reg: '',
} as const;

/** Functions of a libggml-cpu variant that return nothing. */
export const CPU_VOID_FUNCTIONS = {
  ggml_backend_cpu_set_n_threads: 'void* backend, int n_threads',
} as const;

/** Feature queries of a libggml-cpu variant; each answers 0 or 1. */
export const CPU_FEATURES = [
  'sse3',
  'ssse3',
  'avx',
  'avx2',
  'avx_vnni',
  'bmi2',
  'f16c',
  'fma',
  'avx512',
  'avx512_vbmi',
  'avx512_vnni',
  'avx512_bf16',
  'amx_int8',
  'neon',
  'arm_fma',
  'dotprod',
  'matmul_int8',
  'fp16_va',
  'sve',
] as const;
