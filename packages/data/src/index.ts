export * from './templates/index.js';
export * from './tokenizer/index.js';
