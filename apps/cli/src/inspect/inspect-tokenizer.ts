/** Facts of a tokenizer: its kind, size, special tokens, and whether a chat template comes with it. */
import { formatCount, TuneyardError } from '@tuneyard/core';
import { type ChatTemplate, loadChatTemplate, loadTokenizer, type Tokenizer } from '@tuneyard/data';
import { visibleText } from '../terminal/visible-text.js';
import type { FactSection, Inspection } from './inspection.js';

const KIND_NAMES: { readonly [K in Tokenizer['kind']]: string } = {
  'byte-level-bpe': 'byte-level BPE',
  'sentencepiece-bpe': 'SentencePiece BPE',
};

/** Inspects a tokenizer file or directory. Throws: the codes of tokenizers and chat templates. */
export async function inspectTokenizer(path: string): Promise<Inspection> {
  const tokenizer = await loadTokenizer(path);
  const template = await loadChatTemplate(path, tokenizer);
  return {
    kind: 'tokenizer',
    ...describe(tokenizer, template),
    tensors: null,
    problems: [],
    close: () => Promise.resolve(),
  };
}

/** As {@link inspectTokenizer}, for the tokenizer of a model: one that cannot be read is a problem, not an error. */
export async function inspectModelTokenizer(
  path: string,
): Promise<Pick<Inspection, 'sections' | 'document' | 'problems'>> {
  try {
    return await inspectTokenizer(path);
  } catch (error) {
    if (!(error instanceof TuneyardError)) throw error;
    const problems = [`tokenizer: ${error.message}`];
    return { sections: [], document: { tokenizer: null }, problems };
  }
}

const SPECIAL_SHOWN = 8;

function describe(
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
): { sections: FactSection[]; document: Inspection['document'] } {
  const special = specialTokens(tokenizer);
  const named = (id: number | null): string =>
    id === null ? 'none' : `${visibleText(tokenizer.idToToken(id) ?? '?')} (${id})`;
  const shown = special.slice(0, SPECIAL_SHOWN).map(({ token }) => visibleText(token));
  const more = special.length > shown.length ? `, and ${special.length - shown.length} more` : '';
  const adds = [tokenizer.addBos ? 'begin' : '', tokenizer.addEos ? 'end' : ''].filter(Boolean);
  return {
    sections: [
      {
        title: 'Tokenizer',
        facts: [
          ['kind', KIND_NAMES[tokenizer.kind]],
          ['tokens', formatCount(tokenizer.vocabSize)],
          ['begin token', named(tokenizer.bosTokenId)],
          ['end token', named(tokenizer.eosTokenId)],
          ['added to text', adds.length === 0 ? 'nothing' : adds.join(' and ')],
          ['special tokens', `${shown.join(' ') || 'none'}${more}`],
          ['chat template', template === null ? 'no' : `yes, from ${template.origin}`],
        ],
      },
    ],
    document: {
      tokenizer: {
        kind: tokenizer.kind,
        vocabSize: tokenizer.vocabSize,
        bosTokenId: tokenizer.bosTokenId,
        eosTokenId: tokenizer.eosTokenId,
        unkTokenId: tokenizer.unkTokenId,
        padTokenId: tokenizer.padTokenId,
        addBos: tokenizer.addBos,
        addEos: tokenizer.addEos,
        specialTokens: special,
        chatTemplate: template === null ? null : { origin: template.origin },
      },
    },
  };
}

function specialTokens(tokenizer: Tokenizer): { id: number; token: string }[] {
  const found: { id: number; token: string }[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.isSpecial(id) ? tokenizer.idToToken(id) : undefined;
    if (token !== undefined) found.push({ id, token });
  }
  return found;
}
