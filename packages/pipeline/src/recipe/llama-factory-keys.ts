/**
 * Every argument of LLaMA-Factory 0.9.3 that a training YAML can hold, and what becomes of it here.
 *
 * A data table. Source: LLaMA-Factory's data, model, fine-tuning and generating arguments, and the
 * arguments of the Hugging Face trainer that its examples use.
 */

/** What becomes of a key. */
export type KeyRule =
  /** Goes to this place of a recipe unchanged. */
  | { readonly use: 'moved'; readonly to: readonly [section: string, key: string] }
  /** Translated by code in the importer. */
  | { readonly use: 'translated' }
  /** Accepted; has no counterpart, for this reason. */
  | { readonly use: 'ignored'; readonly why: string }
  /** Refused unless its value turns the feature off. */
  | { readonly use: 'unsupported'; readonly why: string; readonly off?: readonly unknown[] };

const ignoredKeys: { readonly [why: string]: string } = {
  'one process trains on this machine; nothing is spread over devices':
    'ddp_timeout ddp_backend ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ' +
    'local_rank deepspeed fsdp fsdp_config fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap ' +
    'accelerator_config ray_run_name ray_storage_path ray_storage_filesystem ray_num_workers ' +
    'resources_per_worker placement_strategy ray_init_kwargs device_map max_memory parallel_mode ' +
    'use_cpu no_cuda split_batches average_tokens_across_devices',
  'number formats follow model.base_type; sums, norms and adapters are f32':
    'bf16 fp16 pure_bf16 tf32 bf16_full_eval fp16_full_eval fp16_opt_level fp16_backend ' +
    'half_precision_backend upcast_layernorm upcast_lmhead_output compute_dtype infer_dtype',
  'this engine chooses its own kernels':
    'flash_attn use_unsloth use_unsloth_gc enable_liger_kernel use_kv_cache use_reentrant_gc ' +
    'torch_compile torch_compile_backend torch_compile_mode low_cpu_mem_usage torch_empty_cache_steps ' +
    'jit_mode_eval use_ipex gradient_checkpointing_kwargs auto_find_batch_size',
  'batches are cut from memory-mapped tokens, so there is no loader to tune':
    'dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor ' +
    'dataloader_persistent_workers remove_unused_columns group_by_length length_column_name ' +
    'preprocessing_batch_size buffer_size data_shared_file_system',
  'results go to the workspace as artifacts that are never overwritten':
    'output_dir overwrite_output_dir overwrite_cache tokenized_path save_only_model save_safetensors ' +
    'save_on_each_node save_strategy logging_dir logging_strategy logging_first_step run_name ' +
    'ignore_data_skip restore_callback_states_from_checkpoint',
  'every run writes report.html with curves, speed and samples':
    'plot_loss report_to include_num_input_tokens_seen include_tokens_per_second ' +
    'include_effective_tokens_per_second compute_accuracy print_param_status log_level ' +
    'log_level_replica log_on_each_node logging_nan_inf_filter disable_tqdm use_swanlab ' +
    'swanlab_project swanlab_workspace swanlab_run_name swanlab_mode swanlab_api_key swanlab_logdir ' +
    'swanlab_lark_webhook_url swanlab_lark_secret skip_memory_metrics',
  'nothing is downloaded and no code of a model directory runs':
    'trust_remote_code use_fast_tokenizer cache_dir model_revision hf_hub_token ms_hub_token ' +
    'om_hub_token hub_model_id hub_strategy hub_token hub_private_repo use_auth_token',
  'held-out loss needs no setting of its own; see the evaluate section':
    'per_device_eval_batch_size eval_strategy evaluation_strategy eval_delay eval_accumulation_steps ' +
    'eval_on_start do_eval batch_eval_metrics prediction_loss_only eval_do_concat_batches ' +
    'metric_for_best_model greater_is_better eval_num_beams',
  'used for generating only; see the evaluate section':
    'do_sample temperature top_p top_k num_beams max_length max_new_tokens repetition_penalty ' +
    'length_penalty skip_special_tokens generation_max_length generation_num_beams ' +
    'generation_config infer_backend offload_folder vllm_maxlen vllm_gpu_util vllm_enforce_eager ' +
    'vllm_max_lora_rank vllm_config sglang_maxlen sglang_mem_fraction sglang_tp_size sglang_config ' +
    'sglang_lora_backend',
  'exporting is the merge and export sections of a recipe':
    'export_dir export_size export_device export_quantization_bit export_quantization_dataset ' +
    'export_quantization_nsamples export_quantization_maxlen export_legacy_format export_hub_model_id',
  'used by the preference stages (rm, dpo, kto, ppo) only':
    'pref_beta pref_ftx pref_loss dpo_label_smoothing kto_chosen_weight kto_rejected_weight ' +
    'simpo_gamma ppo_buffer_size ppo_epochs ppo_score_norm ppo_target ppo_whiten_rewards ref_model ' +
    'ref_model_adapters ref_model_quantization_bit reward_model reward_model_adapters ' +
    'reward_model_quantization_bit reward_model_type',
  'used with finetuning_type freeze only':
    'freeze_trainable_layers freeze_trainable_modules freeze_extra_modules',
  'only text is trained on':
    'media_dir freeze_vision_tower freeze_multi_modal_projector image_max_pixels image_min_pixels ' +
    'image_do_pan_and_scan crop_to_patches use_audio_in_video video_max_pixels video_min_pixels ' +
    'video_fps video_maxlen audio_sampling_rate',
  'a detail of an option that is off':
    'galore_target galore_update_interval galore_scale galore_proj_type galore_layerwise ' +
    'apollo_target apollo_rank apollo_update_interval apollo_scale apollo_proj apollo_proj_type ' +
    'apollo_layerwise apollo_scale_type apollo_scale_front badam_mode badam_start_block ' +
    'badam_switch_mode badam_switch_interval badam_update_ratio badam_mask_mode badam_verbose ' +
    'galore_rank loraplus_lr_embedding pissa_iter pissa_convert',
  'the quantized base is a ggml type, whose blocks are fixed':
    'quantization_method quantization_type double_quantization quantization_device_map',
  'one seed (train.seed) drives every random choice': 'data_seed full_determinism',
};

const moved: { readonly [section: string]: string } = {
  data:
    'template cutoff_len val_size default_system packing neat_packing mask_history train_on_prompt ' +
    'max_samples preprocessing_num_workers mix_strategy interleave_probs tool_format enable_thinking',
  train:
    'lora_rank lora_alpha lora_dropout use_rslora per_device_train_batch_size ' +
    'gradient_accumulation_steps learning_rate num_train_epochs max_steps lr_scheduler_type ' +
    'warmup_ratio warmup_steps weight_decay max_grad_norm adam_beta1 adam_beta2 adam_epsilon seed ' +
    'logging_steps save_steps save_total_limit gradient_checkpointing',
};

const translated =
  'model_name_or_path adapter_name_or_path adapter_folder dataset eval_dataset dataset_dir ' +
  'stage finetuning_type lora_target do_train quantization_bit disable_gradient_checkpointing ' +
  'eval_steps resume_from_checkpoint optim';

const unsupported: { readonly [key: string]: string | readonly [why: string, ...off: unknown[]] } =
  {
    train_from_scratch: 'training starts from given weights, never from random ones',
    resize_vocab: 'the vocabulary of the model is not changed',
    add_tokens: 'the vocabulary of the model is not changed',
    add_special_tokens: 'the vocabulary of the model is not changed',
    new_special_tokens_config: 'the vocabulary of the model is not changed',
    split_special_tokens: 'special tokens in a template are always kept whole',
    rope_scaling: 'the position encoding is the one in config.json; change it there',
    shift_attn: 'attention is the full causal one',
    mixture_of_depths: 'layers are never skipped',
    moe_aux_loss_coef: 'mixture-of-experts models are not trained here',
    streaming: 'a data set is read whole, once, into a token file',
    ignore_pad_token_for_loss: ['padding is never learned', true],
    eval_on_each_dataset: 'held-out loss is one number over all held-out data sets',
    additional_target: 'adapters are trained on linear layers only',
    loraplus_lr_ratio: 'A and B of an adapter share one learning rate (no LoRA+)',
    use_dora: 'adapters are plain LoRA (no DoRA)',
    pissa_init: 'adapters start from random A and zero B (no PiSSA)',
    create_new_adapter: 'an adapter is gone on with, not stacked; merge it first',
    use_llama_pro: 'layers are not added',
    use_galore: 'the optimizer is AdamW',
    use_apollo: 'the optimizer is AdamW',
    use_badam: 'the optimizer is AdamW',
    use_adam_mini: 'the optimizer is AdamW',
    use_muon: 'the optimizer is AdamW',
    optim_args: 'the optimizer is AdamW',
    lr_scheduler_kwargs: ['schedules have no further arguments', '{}'],
    neftune_noise_alpha: 'no noise is added to embeddings',
    label_smoothing_factor: 'labels are not smoothed',
    freeze_language_model: 'it would leave nothing to train',
    disable_shuffling: 'samples are shuffled by train.seed each epoch',
    early_stopping_steps: 'a run does all its steps',
    load_best_model_at_end: 'the last step is the result',
    dataloader_drop_last: 'every sample of an epoch is used',
    do_predict: 'use the evaluate section of a recipe',
    predict_with_generate: 'use the evaluate section of a recipe',
    push_to_hub: 'nothing is uploaded',
  };

/** Rules by key. */
export const LLAMA_FACTORY_KEYS: ReadonlyMap<string, KeyRule> = buildRules();

function buildRules(): ReadonlyMap<string, KeyRule> {
  const rules = new Map<string, KeyRule>();
  for (const [why, keys] of Object.entries(ignoredKeys)) {
    for (const key of keys.split(' ')) rules.set(key, { use: 'ignored', why });
  }
  for (const [section, keys] of Object.entries(moved)) {
    for (const key of keys.split(' ')) rules.set(key, { use: 'moved', to: [section, key] });
  }
  for (const key of translated.split(' ')) rules.set(key, { use: 'translated' });
  for (const [key, reason] of Object.entries(unsupported)) {
    const [why, ...off] = typeof reason === 'string' ? [reason] : reason;
    rules.set(key, { use: 'unsupported', why, off });
  }
  return rules;
}
