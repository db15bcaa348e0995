/**
 * Templates that tell the turns apart by words alone, such as `Human:`. A data table.
 *
 * Source: format facts of the template registry of LLaMA-Factory v0.9.3 (Apache-2.0), as its models were trained.
 * Checked against: that registry, field by field, in test/fixtures/llama-factory.
 */
import { BOS, EOS, type TemplateSpec } from './slot-spec.js';

const CURIOUS_USER =
  'A chat between a curious user and an artificial intelligence assistant. The ' +
  "assistant gives helpful, detailed, and polite answers to the user's questions.";

/** In alphabetical order. */
export const WORDING_TEMPLATES: readonly TemplateSpec[] = [
  {
    name: 'alpaca',
    suits: 'any base model trained on Alpaca-style data',
    user: ['### Instruction:\n{{content}}\n\n### Response:\n'],
    assistant: ['{{content}}', EOS, '\n\n'],
    defaultSystem:
      'Below is an instruction that describes a task. Write a response that ' +
      'appropriately completes the request.\n\n',
  },
  {
    name: 'aquila',
    suits: 'AquilaChat',
    system: ['System: {{content}}###'],
    user: ['Human: {{content}}###Assistant:'],
    assistant: ['{{content}}###'],
    defaultSystem:
      'A chat between a curious human and an artificial intelligence assistant. The ' +
      "assistant gives helpful, detailed, and polite answers to the human's " +
      'questions.',
    stopWords: ['</s>'],
  },
  {
    name: 'atom',
    suits: 'Atom',
    user: [BOS, 'Human: {{content}}\n', EOS, BOS, 'Assistant:'],
    assistant: ['{{content}}\n', EOS],
  },
  {
    name: 'belle',
    suits: 'BELLE',
    prefix: [BOS],
    user: ['Human: {{content}}\n\nBelle: '],
    assistant: ['{{content}}', EOS, '\n\n'],
  },
  {
    name: 'deepseek',
    suits: 'DeepSeek LLM, MoE, Math, V2, Coder V2',
    prefix: [BOS],
    system: ['{{content}}\n\n'],
    user: ['User: {{content}}\n\nAssistant:'],
  },
  {
    name: 'default',
    suits: 'any base model',
    system: ['System: {{content}}', EOS, '\n'],
    user: ['Human: {{content}}', EOS, '\nAssistant:'],
    assistant: ['{{content}}', EOS, '\n'],
  },
  {
    name: 'empty',
    suits: 'any base model: texts without a frame',
    assistant: ['{{content}}'],
  },
  {
    name: 'falcon',
    suits: 'Falcon Instruct',
    user: ['User: {{content}}\nFalcon:'],
    assistant: ['{{content}}\n'],
    efficientEos: true,
  },
  {
    name: 'fewshot',
    suits: 'base models prompted with examples',
    assistant: ['{{content}}\n\n'],
    efficientEos: true,
  },
  {
    name: 'llava',
    suits: 'LLaVA 1.5',
    user: ['USER: {{content}} ASSISTANT:'],
    defaultSystem: CURIOUS_USER,
    media: { plugin: 'llava', image: '<image>' },
  },
  {
    name: 'llava_next',
    suits: 'LLaVA-NeXT (Vicuna)',
    user: ['USER: {{content}} ASSISTANT:'],
    defaultSystem: CURIOUS_USER,
    media: { plugin: 'llava_next', image: '<image>' },
  },
  {
    name: 'llava_next_video',
    suits: 'LLaVA-NeXT-Video (Vicuna)',
    user: ['USER: {{content}} ASSISTANT:'],
    defaultSystem: CURIOUS_USER,
    media: { plugin: 'llava_next_video', image: '<image>', video: '<video>' },
  },
  {
    name: 'openchat',
    suits: 'OpenChat 3.5',
    prefix: [BOS],
    user: ['GPT4 Correct User: {{content}}', EOS, 'GPT4 Correct Assistant:'],
  },
  {
    name: 'orion',
    suits: 'Orion Chat',
    prefix: [BOS],
    user: ['Human: {{content}}\n\nAssistant: ', EOS],
  },
  {
    name: 'seed_coder',
    suits: 'Seed-Coder',
    system: [BOS, 'system\n{{content}}', EOS],
    user: [BOS, 'user\n{{content}}', EOS, BOS, 'assistant\n'],
    defaultSystem:
      'You are an AI programming assistant, utilizing the Seed-Coder model, ' +
      'developed by ByteDance Seed, and you only answer questions related to ' +
      'computer science. For politically sensitive questions, security and privacy ' +
      'issues, and other non-computer science questions, you will refuse to answer.\n\n',
  },
  {
    name: 'solar',
    suits: 'SOLAR Instruct',
    system: ['### System:\n{{content}}\n\n'],
    user: ['### User:\n{{content}}\n\n### Assistant:\n'],
    efficientEos: true,
  },
  {
    name: 'vicuna',
    suits: 'Vicuna 1.5',
    user: ['USER: {{content}} ASSISTANT:'],
    defaultSystem: CURIOUS_USER,
  },
  {
    name: 'video_llava',
    suits: 'Video-LLaVA',
    user: ['USER: {{content}} ASSISTANT:'],
    defaultSystem: CURIOUS_USER,
    media: { plugin: 'video_llava', image: '<image>', video: '<video>' },
  },
  {
    name: 'xuanyuan',
    suits: 'XuanYuan Chat',
    user: ['Human: {{content}} Assistant:'],
    defaultSystem:
      '以下是用户和人工智能助手之间的对话。用户以Human开头，' +
      '人工智能助手以Assistant开头，会对人类提出的问题给出有帮助、高质量、' +
      '详细和礼貌的回答，并且总是拒绝参与与不道德、不安全、有争议、' +
      '政治敏感等相关的话题、问题和指示。\n',
  },
  {
    name: 'xverse',
    suits: 'XVERSE Chat',
    user: ['Human: {{content}}\n\nAssistant: '],
  },
  {
    name: 'yi_vl',
    suits: 'Yi-VL',
    user: ['### Human: {{content}}\n### Assistant:'],
    assistant: ['{{content}}\n'],
    defaultSystem:
      'This is a chat between an inquisitive human and an AI assistant. Assume the ' +
      'role of the AI assistant. Read all the images carefully, and respond to the ' +
      "human's questions with informative, helpful, detailed and polite answers. " +
      '这是一个好奇的人类和一个人工智能助手之间的对话。假设你扮演这个AI助手的角色。' +
      '仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、详细的和礼貌的回答。\n\n',
    stopWords: ['###'],
    efficientEos: true,
    media: { plugin: 'llava', image: '<image>' },
  },
];
