/** Recognises SentencePiece's treatment of spaces, the only one of GGUF's `llama` vocabularies. */

import type { NormalizerStep, PreTokenizerStep, TokenizerDefinition } from '../definition.js';
import { unsupported } from '../json-fields.js';
import { SPACE_MARK } from '../sentencepiece.js';

/** What happens to spaces. */
export interface SpaceTreatment {
  /** A space is put in front of the text. */
  readonly isPrefixed: boolean;
  /** Sentences on where llama.cpp does otherwise. */
  readonly differences: readonly string[];
}

/** Throws: `TOKENIZER_UNSUPPORTED` for any other treatment of text. */
export function spaceTreatment(definition: TokenizerDefinition): SpaceTreatment {
  const normalizer = definition.normalizer.filter((step) => step.type !== 'collapse-spaces');
  const [metaspace, ...others] = definition.preTokenizer;
  const isMetaspace = metaspace?.type === 'metaspace' && others.length + normalizer.length === 0;
  const found = isMetaspace ? ofMetaspace(metaspace) : ofNormalizer(normalizer, metaspace);
  if (found === null) {
    const steps = [...definition.normalizer, ...definition.preTokenizer].map((step) => step.type);
    throw unsupported(definition.origin, `the text treatment [${steps.join(', ')}] in GGUF`, [
      'prepend ▁ and replace spaces by it',
      'Metaspace without split',
    ]);
  }
  if (normalizer.length === definition.normalizer.length) return found;
  const kept = 'Runs of spaces are kept, not reduced to one.';
  return { ...found, differences: [kept, ...found.differences] };
}

function ofMetaspace(
  step: Extract<PreTokenizerStep, { type: 'metaspace' }>,
): SpaceTreatment | null {
  if (step.split || step.replacement !== SPACE_MARK) return null;
  if (step.prepend === 'never') return { isPrefixed: false, differences: [] };
  const where = step.prepend === 'first' ? ' and of text after a special token' : '';
  const difference = `A space is put in front of text that begins with one${where}.`;
  return { isPrefixed: true, differences: [difference] };
}

function ofNormalizer(
  steps: readonly NormalizerStep[],
  preTokenizer: PreTokenizerStep | undefined,
): SpaceTreatment | null {
  const isPrefixed = steps[0]?.type === 'prepend' && steps[0].text === SPACE_MARK;
  const [mark, ...others] = isPrefixed ? steps.slice(1) : steps;
  const isMarking =
    mark?.type === 'replace' && mark.pattern.source === ' ' && mark.content === SPACE_MARK;
  if (!isMarking || others.length > 0 || !cutsNothing(preTokenizer)) return null;
  return { isPrefixed, differences: [] };
}

/** Gemma's files cut at spaces, of which the normalizer has left none. */
function cutsNothing(step: PreTokenizerStep | undefined): boolean {
  if (step === undefined) return true;
  return step.type === 'split' && step.pattern.source === ' ' && !step.invert;
}
