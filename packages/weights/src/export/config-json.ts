/**
 * Writes `config.json` with a decimal point wherever Python wants a float: transformers 5 checks the types of fields,
 * and JSON's 1 is an int there.
 */

/** Fields that are floats in transformers' configuration classes. */
const FLOATS: readonly string[] = [
  'attention_factor',
  'attn_logit_softcapping',
  'beta_fast',
  'beta_slow',
  'factor',
  'final_logit_softcapping',
  'high_freq_factor',
  'low_freq_factor',
  'mscale',
  'mscale_all_dim',
  'partial_rotary_factor',
  'rms_norm_eps',
  'rope_local_base_freq',
  'rope_theta',
  'routed_scaling_factor',
];

const WHOLE_FLOAT = new RegExp(`^(\\s*"(?:${FLOATS.join('|')})": -?\\d+)(,?)$`, 'gm');

/** The text of the file, indented by two, with a newline at the end. */
export function formatConfigJson(config: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(config, null, 2).replace(WHOLE_FLOAT, '$1.0$2')}\n`;
}
