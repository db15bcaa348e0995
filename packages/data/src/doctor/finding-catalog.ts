/**
 * Every finding but the buckets of left-out rows (drop-fixes.ts): how bad it is, what it says after "n rows: ", and
 * what to do. Pure data, explained to users in docs/data-doctor.md.
 */

/** One kind of finding. */
interface FindingKind {
  readonly severity: 'error' | 'warning' | 'note';
  readonly what: string;
  readonly fix: string;
}

/** Findings by code. Codes are stable. */
export const FINDINGS = {
  // Tokens
  id_outside_vocab: {
    severity: 'error',
    what: 'an id is not in the vocabulary of the model',
    fix: "Use the model's own tokenizer, or resize the model's embedding.",
  },
  double_bos: {
    severity: 'error',
    what: 'two BOS tokens at the beginning',
    fix: 'Remove BOS from the text or the template: the tokenizer adds it.',
  },
  missing_bos: {
    severity: 'error',
    what: 'no BOS at the beginning, but the tokenizer adds one when the model is used',
    fix: "Prepare the data again with this tokenizer, or use template: auto for the model's own.",
  },
  all_masked: {
    severity: 'error',
    what: 'no token is learned',
    fix: 'Raise cutoff_len, or remove the rows.',
  },
  stop_not_learned: {
    severity: 'error',
    what: 'the answer ends without a learned stop token; the model would not stop',
    fix: 'Use a template whose answers end with a token, such as template: plain.',
  },
  answer_cut: {
    severity: 'warning',
    what: 'the answer was cut before its stop token',
    fix: 'Raise cutoff_len, or set overlength: drop.',
  },
  padding_learned: {
    severity: 'error',
    what: 'padding at the end is learned',
    fix: 'Mask padding (label −100); a model that learns it answers with it.',
  },
  learned_share_low: {
    severity: 'warning',
    what: 'almost nothing is learned',
    fix: 'Shorten the questions, or pack samples; most of the time goes into text that is only read.',
  },
  unknown_token: {
    severity: 'warning',
    what: 'the tokenizer has no token for some of the text',
    fix: 'Check the language and encoding of these rows.',
  },
  byte_tokens: {
    severity: 'warning',
    what: 'characters are spelled out byte by byte',
    fix: 'Choose a base model whose tokenizer knows this language or script; this one needs several tokens per character.',
  },
  // Model and tokenizer
  tokenizer_larger_than_model: {
    severity: 'warning',
    what: 'the tokenizer has ids that the model lacks',
    fix: "Use the tokenizer files that came with the model, or resize the model's embedding.",
  },
  embedding_rows: {
    severity: 'error',
    what: 'the embedding has fewer rows than vocab_size says',
    fix: 'Correct vocab_size in config.json, or take weights and config from the same model.',
  },
  special_ids_differ: {
    severity: 'warning',
    what: 'tokenizer and model name different special tokens',
    fix: 'Make tokenizer_config.json and config.json agree; take both from the same model.',
  },
  stop_not_in_eos: {
    severity: 'warning',
    what: 'answers end with a token that the generation settings do not stop at',
    fix: 'Add it to eos_token_id in generation_config.json, or other programs will not stop.',
  },
  // Template
  template_unusable: {
    severity: 'error',
    what: 'the template cannot be used with this tokenizer',
    fix: "Use template: auto for the model's own, or template: plain for a base model.",
  },
  template_marker_split: {
    severity: 'warning',
    what: 'the template marks turns with texts that are not single tokens here',
    fix: "Use the template of the model's family.",
  },
  template_differs: {
    severity: 'warning',
    what: "the template writes a dialogue differently from the model's own chat template",
    fix: "Use template: auto for the model's own.",
  },
  template_drops_turns: {
    severity: 'error',
    what: 'the template leaves turns of a dialogue out',
    fix: 'Use another template, or train on single turns.',
  },
  template_drops_system: {
    severity: 'warning',
    what: 'the template leaves system messages out',
    fix: 'Use a template that writes them, or put their text into the first question.',
  },
  template_drops_tools: {
    severity: 'warning',
    what: 'the template leaves tools out',
    fix: 'Use a template that describes tools, or the model calls what it was never told of.',
  },
  template_rewrites_history: {
    severity: 'warning',
    what: 'the template does not keep its beginning when a dialogue goes on',
    fix: 'Use a named template of the same family, or train on single turns.',
  },
  // Rows
  special_text: {
    severity: 'warning',
    what: 'a message spells a special token, which becomes that token',
    fix: 'Remove or rewrite the text: it can end a turn or begin another one.',
  },
  foreign_markup: {
    severity: 'warning',
    what: "a message holds markers of another model's chat format, learned as plain text",
    fix: 'Cut the text into turns, and remove the markers.',
  },
  empty_question: {
    severity: 'warning',
    what: 'a question is empty',
    fix: 'Fill it in, or remove the row.',
  },
  mixed_system: {
    severity: 'note',
    what: 'no system message, though other rows have one',
    fix: 'Give every row one, or set a default system message, so that the model sees at use what it saw in training.',
  },
  mojibake: {
    severity: 'warning',
    what: 'text was decoded with the wrong encoding',
    fix: 'Decode the source as UTF-8 and make the data again.',
  },
  replacement_character: {
    severity: 'warning',
    what: 'U+FFFD stands where a character was lost',
    fix: 'Make the data again from the source; the character cannot be recovered here.',
  },
  control_characters: {
    severity: 'warning',
    what: 'control characters in the text',
    fix: 'Remove them; terminal colours and page breaks teach nothing.',
  },
  invisible_characters: {
    severity: 'note',
    what: 'invisible characters in the text',
    fix: 'Remove zero-width and direction marks unless the script needs them.',
  },
  html_left: {
    severity: 'note',
    what: 'HTML entities or tags are left in the text',
    fix: 'Turn the HTML into text, unless the model should write HTML.',
  },
  placeholder_text: {
    severity: 'warning',
    what: 'a placeholder was not filled in',
    fix: 'Replace it with what it stands for; the model would say it as it is.',
  },
  repetitive_text: {
    severity: 'warning',
    what: 'an answer repeats itself',
    fix: 'Remove the row; the model would learn to loop.',
  },
  short_answer: {
    severity: 'note',
    what: 'an answer of one or two characters, though others are long',
    fix: 'Check that the answer is whole.',
  },
  base64_blob: {
    severity: 'warning',
    what: 'a long run of encoded bytes',
    fix: 'Remove it; it costs many tokens and cannot be learned.',
  },
  unbalanced_fence: {
    severity: 'warning',
    what: 'a code block is opened and not closed',
    fix: 'Close it, or check whether the answer was cut.',
  },
  refusal: {
    severity: 'note',
    what: 'the answer is a refusal',
    fix: 'Keep them only if the model should refuse; a few hundred change its manners.',
  },
  personal_data: {
    severity: 'note',
    what: 'looks like an e-mail address or a phone number',
    fix: 'Remove personal data: a model can repeat it word for word.',
  },
  secret: {
    severity: 'note',
    what: 'looks like a key or password of a service',
    fix: 'Remove it, and replace the key: a model can repeat it word for word.',
  },
  mixed_scripts: {
    severity: 'note',
    what: 'text in another script than most rows',
    fix: 'Keep them if the model should answer in both.',
  },
  answer_script: {
    severity: 'note',
    what: 'question and answer are in different scripts',
    fix: 'Check that this is wanted, as in translation.',
  },
  // Repeats
  exact_duplicate: {
    severity: 'warning',
    what: 'the same as an earlier row',
    fix: 'Remove them (--fix does); a repeated row weighs double.',
  },
  near_duplicate: {
    severity: 'note',
    what: 'at least 90 % the same as an earlier row',
    fix: 'Look at a few; remove them if they say nothing new.',
  },
  contradiction: {
    severity: 'warning',
    what: 'the question of an earlier row with another answer',
    fix: 'Keep one answer per question, unless several are right.',
  },
  validation_leak: {
    severity: 'error',
    what: 'held out, but also trained on',
    fix: 'Remove them from one side; the held-out score would be too good.',
  },
  validation_prompt_leak: {
    severity: 'warning',
    what: 'a held-out question is trained on with another answer',
    fix: 'Hold out questions, not answers.',
  },
  validation_near_leak: {
    severity: 'warning',
    what: 'held out, but at least 90 % the same as a training row',
    fix: 'Check that the held-out rows are really new.',
  },
  repeated_answer: {
    severity: 'warning',
    what: 'many different questions have the very same answer',
    fix: 'Remove most of them, or write answers that fit their questions.',
  },
  label_imbalance: {
    severity: 'warning',
    what: 'one of a few answers is nearly always right',
    fix: 'Balance the answers, or measure against always giving that one.',
  },
  // Lengths and size
  truncated: {
    severity: 'warning',
    what: 'cut to fit',
    fix: 'Raise cutoff_len to keep them whole, or set overlength: drop to leave them out.',
  },
  answers_cut_away: {
    severity: 'warning',
    what: 'left out: after cutting no answer is left',
    fix: 'Raise cutoff_len so that the answer fits.',
  },
  nothing_to_train: {
    severity: 'error',
    what: 'no row gives a sample to train on',
    fix: 'See why rows are left out; most often the columns have other names, or cutoff_len is too small.',
  },
  few_rows: {
    severity: 'warning',
    what: 'fewer than ten samples',
    fix: 'Collect more; a handful of rows is learned by heart, not understood.',
  },
  small_set: {
    severity: 'note',
    what: 'few samples',
    fix: 'Train several epochs with a small learning rate, and hold some rows out to see when to stop.',
  },
  // Preferences
  read_as_preferences: {
    severity: 'note',
    what: 'records were checked as preferences',
    fix: 'Register the data set with ranking: true or a kto_tag column; training on answers alone would leave them out or learn the bad ones too.',
  },
  preference_equal: {
    severity: 'warning',
    what: 'chosen and rejected are the same',
    fix: 'Remove the rows; they teach nothing.',
  },
  preference_length_bias: {
    severity: 'note',
    what: 'the chosen answer is nearly always the longer one',
    fix: 'Add pairs whose shorter answer is better, or the model learns to be long.',
  },
  preference_one_sided: {
    severity: 'warning',
    what: 'all answers have the same verdict',
    fix: 'KTO needs both liked and disliked answers.',
  },
} as const satisfies { readonly [code: string]: FindingKind };

/** One of {@link FINDINGS}. */
export type FindingCode = keyof typeof FINDINGS;
