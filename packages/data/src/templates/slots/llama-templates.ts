/**
 * Templates of the Llama, Mistral and Gemma lines and of models built on them. A data table.
 *
 * Source: format facts of the template registry of LLaMA-Factory v0.9.3 (Apache-2.0), as its models were trained.
 * Checked against: that registry, field by field, in test/fixtures/llama-factory.
 */
import { BOS, EOS, type TemplateSpec } from './slot-spec.js';

const LLAMA3 = {
  user: [
    '<|start_header_id|>user<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  ],
  assistant: ['{{content}}<|eot_id|>'],
  system: ['<|start_header_id|>system<|end_header_id|>\n\n{{content}}<|eot_id|>'],
  observation: [
    '<|start_header_id|>ipython<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
  ],
  toolFormat: 'llama3',
  prefix: [BOS],
} as const;

const GEMMA = {
  user: ['<start_of_turn>user\n{{content}}<end_of_turn>\n<start_of_turn>model\n'],
  assistant: ['{{content}}<end_of_turn>\n'],
  system: ['{{content}}\n\n'],
  observation: ['<start_of_turn>tool\n{{content}}<end_of_turn>\n<start_of_turn>model\n'],
  prefix: [BOS],
} as const;

const MISTRAL = {
  user: ['[INST] {{content}}[/INST]'],
  assistant: [' {{content}}', EOS],
  system: ['{{content}}\n\n'],
  observation: ['[TOOL_RESULTS] {"content": {{content}}}[/TOOL_RESULTS]'],
  prefix: [BOS],
  function: ['[TOOL_CALLS] {{content}}', EOS],
  toolFormat: 'mistral',
} as const;

const TEKKEN = {
  user: ['[INST]{{content}}[/INST]'],
  observation: ['[TOOL_RESULTS]{"content": {{content}}}[/TOOL_RESULTS]'],
  prefix: [BOS],
  function: ['[TOOL_CALLS]{{content}}', EOS],
  toolFormat: 'mistral',
} as const;

/** In alphabetical order. */
export const LLAMA_TEMPLATES: readonly TemplateSpec[] = [
  {
    name: 'breeze',
    suits: 'Breeze Instruct',
    prefix: [BOS],
    user: ['[INST] {{content}} [/INST] '],
    efficientEos: true,
  },
  {
    name: 'gemma',
    suits: 'Gemma 1 and 2, Gemma 3 1B, CodeGemma',
    ...GEMMA,
    stopWords: ['<end_of_turn>'],
    replaceEos: true,
    systemInUser: true,
  },
  {
    name: 'gemma3',
    suits: 'Gemma 3 4B and larger, MedGemma',
    ...GEMMA,
    stopWords: ['<end_of_turn>'],
    replaceEos: true,
    systemInUser: true,
    media: { plugin: 'gemma3', image: '<image_soft_token>' },
  },
  {
    name: 'llama2',
    suits: 'Llama 2 Chat',
    system: ['<<SYS>>\n{{content}}\n<</SYS>>\n\n'],
    user: [BOS, '[INST] {{content}} [/INST]'],
    systemInUser: true,
  },
  {
    name: 'llama2_zh',
    suits: 'Chinese-Alpaca-2',
    system: ['<<SYS>>\n{{content}}\n<</SYS>>\n\n'],
    user: [BOS, '[INST] {{content}} [/INST]'],
    defaultSystem: 'You are a helpful assistant. 你是一个乐于助人的助手。',
    systemInUser: true,
  },
  {
    name: 'llama3',
    suits: 'Llama 3, 3.1, 3.2, 3.3 Instruct',
    ...LLAMA3,
    stopWords: ['<|eot_id|>', '<|eom_id|>'],
    replaceEos: true,
  },
  {
    name: 'llama4',
    suits: 'Llama 4',
    prefix: [BOS],
    system: ['<|header_start|>system<|header_end|>\n\n{{content}}<|eot|>'],
    user: [
      '<|header_start|>user<|header_end|>\n\n{{content}}<|eot|><|header_start|>assistant<|header_end|>\n\n',
    ],
    assistant: ['{{content}}<|eot|>'],
    observation: [
      '<|header_start|>ipython<|header_end|>\n\n{{content}}<|eot|><|header_start|>assistant<|header_end|>\n\n',
    ],
    toolFormat: 'llama3',
    stopWords: ['<|eot|>', '<|eom|>'],
    replaceEos: true,
    media: { plugin: 'llama4', image: '<|image|>' },
  },
  {
    name: 'llava_next_llama3',
    suits: 'LLaVA-NeXT (Llama 3)',
    ...LLAMA3,
    stopWords: ['<|eot_id|>', '<|eom_id|>'],
    replaceEos: true,
    media: { plugin: 'llava_next', image: '<image>' },
  },
  {
    name: 'llava_next_mistral',
    suits: 'LLaVA-NeXT (Mistral)',
    ...MISTRAL,
    systemInUser: true,
    media: { plugin: 'llava_next', image: '<image>' },
  },
  {
    name: 'llava_next_video_mistral',
    suits: 'LLaVA-NeXT-Video (Mistral)',
    ...MISTRAL,
    systemInUser: true,
    media: { plugin: 'llava_next_video', image: '<image>', video: '<video>' },
  },
  {
    name: 'ministral',
    suits: 'Ministral 2410, Mistral Nemo',
    ...TEKKEN,
    system: ['{{content}}\n\n'],
    systemInUser: true,
  },
  {
    name: 'mistral',
    suits: 'Mistral 7B and Mixtral Instruct, Codestral',
    ...MISTRAL,
    systemInUser: true,
  },
  {
    name: 'mistral_small',
    suits: 'Mistral Small 24B',
    ...TEKKEN,
    system: ['[SYSTEM_PROMPT]{{content}}[/SYSTEM_PROMPT]'],
    media: { plugin: 'pixtral', image: '[IMG]' },
  },
  {
    name: 'mllama',
    suits: 'Llama 3.2 Vision',
    ...LLAMA3,
    stopWords: ['<|eot_id|>', '<|eom_id|>'],
    replaceEos: true,
    media: { plugin: 'mllama', image: '<|image|>' },
  },
  {
    name: 'openchat-3.6',
    suits: 'OpenChat 3.6',
    prefix: [BOS],
    user: [
      '<|start_header_id|>GPT4 Correct User<|end_header_id|>\n\n{{content}}<|eot_id|><|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\n',
    ],
    stopWords: ['<|eot_id|>'],
  },
  {
    name: 'paligemma',
    suits: 'PaliGemma',
    prefix: [BOS],
    user: ['{{content}}\n'],
    systemInUser: true,
    media: { plugin: 'paligemma', image: '<image>' },
  },
  {
    name: 'paligemma_chat',
    suits: 'PaliGemma trained to chat',
    prefix: [BOS],
    user: ['<start_of_turn>user\n{{content}}<end_of_turn>\n<start_of_turn>model\n'],
    assistant: ['{{content}}<end_of_turn>\n'],
    observation: ['<start_of_turn>tool\n{{content}}<end_of_turn>\n<start_of_turn>model\n'],
    stopWords: ['<end_of_turn>'],
    replaceEos: true,
    systemInUser: true,
    media: { plugin: 'paligemma', image: '<image>' },
  },
  {
    name: 'pixtral',
    suits: 'Pixtral',
    ...TEKKEN,
    system: ['{{content}}\n\n'],
    systemInUser: true,
    media: { plugin: 'pixtral', image: '[IMG]' },
  },
  {
    name: 'skywork_o1',
    suits: 'Skywork-o1',
    ...LLAMA3,
    defaultSystem:
      'You are Skywork-o1, a thinking model developed by Skywork AI, specializing in ' +
      'solving complex problems involving mathematics, coding, and logical reasoning ' +
      "through deep thought. When faced with a user's request, you first engage in a " +
      'lengthy and in-depth thinking process to explore possible solutions to the ' +
      'problem. After completing your thoughts, you then provide a detailed ' +
      'explanation of the solution process in your response.',
    stopWords: ['<|eot_id|>', '<|eom_id|>'],
  },
];
