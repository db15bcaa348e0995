/**
 * Names of LLaMA-Factory's templates that have another name here, or none.
 *
 * A data table. Source: the template registry of LLaMA-Factory 0.9.3, text templates only.
 */

/** Same format under another name. */
const RENAMED: { readonly [name: string]: string } = {
  yi: 'chatml',
  orion: 'chatml',
  gemma2: 'gemma',
  deepseekr1: 'deepseek3',
};

/** Formats that only models bring which carry a chat template of their own. */
const MODELS_OWN: ReadonlySet<string> = new Set(
  (
    'aquila atom baichuan baichuan2 belle bluelm breeze chatglm2 chatglm3 chatml_de codegeex2 ' +
    'codegeex4 cohere cpm cpm3 dbrx deepseek deepseekcoder exaone falcon falcon_h1 fewshot glm4 glmz1 ' +
    'granite3 granite3_vision hunyuan index intern intern2 llama4 marco mimo ministral mistral_small ' +
    'moonlight olmo openchat openchat-3.6 opencoder phi phi4 phi_small qwen3 qwq sailor seed_coder ' +
    'skywork_o1 smollm smollm2 solar starchat telechat telechat2 xverse yayi yuan'
  ).split(' '),
);

/** What a template name of LLaMA-Factory means here, with a sentence where it changed. */
export function templateOfLlamaFactory(name: string): {
  readonly template: string;
  readonly note: string | null;
} {
  const renamed = RENAMED[name];
  if (renamed !== undefined) return { template: renamed, note: `${name} is ${renamed} here` };
  if (!MODELS_OWN.has(name)) return { template: name, note: null };
  return { template: 'auto', note: `${name} is taken from the model's own chat template` };
}
