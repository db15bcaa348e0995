/** Which files of a model directory belong to the model beside its weights and configuration. */
import { readdir } from 'node:fs/promises';

const SIDECARS: readonly RegExp[] = [
  /^tokenizer\.json$/,
  /^tokenizer\.model(\.v\d+)?$/,
  /^tokenizer_config\.json$/,
  /^tekken\.json$/,
  /^(sentencepiece\.bpe|spiece|ice_text|tiktoken)\.model$/,
  /^[\w.-]+\.tiktoken$/,
  /^special_tokens_map\.json$/,
  /^added_tokens\.json$/,
  /^vocab\.(json|txt)$/,
  /^merges\.txt$/,
  /^generation_config\.json$/,
  // Families that transformers does not know bring their own code; it is copied, never run.
  /^(configuration|modeling|tokenization|generation|quantiz)\w*\.py$/,
  /^chat_template\.(jinja|json)$/,
  /^(LICEN[CS]E|NOTICE|COPYING|USE_POLICY)([.\-_].*)?$/i,
  /^README\.md$/i,
];

/** Lists the sidecar files of a directory, sorted by name. */
export async function listSidecarFiles(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && SIDECARS.some((form) => form.test(entry.name)))
    .map((entry) => entry.name)
    .sort();
}
