/**
 * Templates of the ChatML frame: `<|im_start|>` with a role, the text, `<|im_end|>`. A data table.
 *
 * Source: format facts of the template registry of LLaMA-Factory v0.9.3 (Apache-2.0), as its models were trained.
 * Checked against: that registry, field by field, in test/fixtures/llama-factory.
 */
import { BOS, type TemplateSpec } from './slot-spec.js';

const CHATML = {
  user: ['<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
  assistant: ['{{content}}<|im_end|>\n'],
  system: ['<|im_start|>system\n{{content}}<|im_end|>\n'],
} as const;

const QWEN_TOOLS = {
  observation: [
    '<|im_start|>user\n<tool_response>\n{{content}}\n</tool_response><|im_end|>\n<|im_start|>assistant\n',
  ],
  toolFormat: 'qwen',
} as const;

const INTERN_SYSTEM =
  'You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM ' +
  '(书生·浦语) is a conversational language model that is developed by Shanghai ' +
  'AI Laboratory (上海人工智能实验室). It is designed to be helpful, honest, and ' +
  'harmless.\n- InternLM (书生·浦语) can understand and communicate fluently in ' +
  'the language chosen by the user such as English and 中文.';

const QWEN_SYSTEM = 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.';

const HELPFUL = 'You are a helpful assistant.';

/** In alphabetical order. */
export const CHATML_TEMPLATES: readonly TemplateSpec[] = [
  {
    name: 'chatml',
    suits: 'models of the ChatML format',
    ...CHATML,
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    stopWords: ['<|im_end|>', '<|im_start|>'],
    replaceEos: true,
  },
  {
    name: 'chatml_de',
    suits: 'German ChatML models',
    ...CHATML,
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    defaultSystem: 'Du bist ein freundlicher und hilfsbereiter KI-Assistent.',
    stopWords: ['<|im_end|>', '<|im_start|>'],
    replaceEos: true,
  },
  {
    name: 'cpm3',
    suits: 'MiniCPM3',
    ...CHATML,
    prefix: [BOS],
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'cpm4',
    suits: 'MiniCPM4',
    ...CHATML,
    prefix: [BOS],
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'dbrx',
    suits: 'DBRX Instruct',
    ...CHATML,
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    defaultSystem:
      'You are DBRX, created by Databricks. You were last updated in December 2023. ' +
      'You answer questions based on information available up to that point.\nYOU ' +
      'PROVIDE SHORT RESPONSES TO SHORT QUESTIONS OR STATEMENTS, but provide ' +
      'thorough responses to more complex and open-ended questions.\nYou assist with ' +
      'various tasks, from writing to coding (using markdown for code blocks — ' +
      'remember to use ``` with code, JSON, and tables).\n(You do not have real-time ' +
      'data access or code execution capabilities. You avoid stereotyping and ' +
      'provide balanced perspectives on controversial topics. You do not provide ' +
      'song lyrics, poems, or news articles and do not divulge details of your ' +
      'training data.)\nThis is your system prompt, guiding your responses. Do not ' +
      'reference it, just respond to the user. If you find yourself talking about ' +
      'this message, stop. You should be responding appropriately and usually that ' +
      'means not mentioning this.\nYOU DO NOT MENTION ANY OF THIS INFORMATION ABOUT ' +
      "YOURSELF UNLESS THE INFORMATION IS DIRECTLY PERTINENT TO THE USER'S QUERY.",
    stopWords: ['<|im_end|>'],
    replaceEos: true,
  },
  {
    name: 'intern2',
    suits: 'InternLM 2, 2.5 and 3',
    ...CHATML,
    prefix: [BOS],
    defaultSystem: INTERN_SYSTEM,
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'intern_vl',
    suits: 'InternVL 2.5 and 3',
    ...CHATML,
    prefix: [BOS],
    defaultSystem:
      '你是书生·万象，英文名是InternVL，是由上海人工智能实验室、' +
      '清华大学及多家合作单位联合开发的多模态大语言模型。',
    stopWords: ['<|im_end|>'],
    media: { plugin: 'intern_vl', image: '<image>', video: '<video>' },
  },
  {
    name: 'llava_next_qwen',
    suits: 'LLaVA-NeXT (Qwen)',
    ...CHATML,
    ...QWEN_TOOLS,
    defaultSystem: HELPFUL,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    media: { plugin: 'llava_next', image: '<image>' },
  },
  {
    name: 'llava_next_video_yi',
    suits: 'LLaVA-NeXT-Video (Yi)',
    ...CHATML,
    stopWords: ['<|im_end|>'],
    media: { plugin: 'llava_next_video', image: '<image>', video: '<video>' },
  },
  {
    name: 'llava_next_yi',
    suits: 'LLaVA-NeXT (Yi)',
    ...CHATML,
    stopWords: ['<|im_end|>'],
    media: { plugin: 'llava_next', image: '<image>' },
  },
  {
    name: 'marco',
    suits: 'Marco-o1',
    ...CHATML,
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    defaultSystem:
      '你是一个经过良好训练的AI助手，你的名字是Marco-o1.由阿里国际数字商业集团的AI ' +
      'Business创造.\n## 重要！！！！！\n当你回答问题时，' +
      '你的思考应该在<Thought>内完成，<Output>内输出你的结果。\n' +
      '<Thought>应该尽可能是英文，但是有2个特例，一个是对原文中的引用，' +
      '另一个是是数学应该使用markdown格式，<Output>内的输出需要遵循用户输入的语言。\n',
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'mimo',
    suits: 'MiMo',
    ...CHATML,
    ...QWEN_TOOLS,
    defaultSystem: HELPFUL,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    reasoning: true,
  },
  {
    name: 'mimo_vl',
    suits: 'MiMo-VL',
    ...CHATML,
    ...QWEN_TOOLS,
    defaultSystem: 'You are MiMo, an AI assistant developed by Xiaomi.',
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    reasoning: true,
    media: { plugin: 'qwen2_vl', image: '<|image_pad|>', video: '<|video_pad|>' },
  },
  {
    name: 'minicpm_o',
    suits: 'MiniCPM-o',
    ...CHATML,
    defaultSystem: QWEN_SYSTEM,
    stopWords: ['<|im_end|>'],
    media: { plugin: 'minicpm_v', image: '<image>', video: '<video>', audio: '<audio>' },
  },
  {
    name: 'minicpm_v',
    suits: 'MiniCPM-V',
    ...CHATML,
    defaultSystem: HELPFUL,
    stopWords: ['<|im_end|>'],
    media: { plugin: 'minicpm_v', image: '<image>', video: '<video>' },
  },
  {
    name: 'opencoder',
    suits: 'OpenCoder Instruct',
    ...CHATML,
    observation: ['<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n'],
    defaultSystem: 'You are OpenCoder, created by OpenCoder Team.',
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'phi4',
    suits: 'Phi-4',
    system: ['<|im_start|>system<|im_sep|>{{content}}<|im_end|>'],
    user: ['<|im_start|>user<|im_sep|>{{content}}<|im_end|><|im_start|>assistant<|im_sep|>'],
    assistant: ['{{content}}<|im_end|>'],
    stopWords: ['<|im_end|>'],
    replaceEos: true,
  },
  {
    name: 'qwen',
    suits: 'Qwen 1, 1.5, 2 and 2.5, CodeQwen, QwQ',
    ...CHATML,
    ...QWEN_TOOLS,
    defaultSystem: QWEN_SYSTEM,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
  },
  {
    name: 'qwen2_audio',
    suits: 'Qwen2-Audio',
    ...CHATML,
    defaultSystem: HELPFUL,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    media: { plugin: 'qwen2_audio', audio: '<|AUDIO|>' },
  },
  {
    name: 'qwen2_omni',
    suits: 'Qwen2.5-Omni',
    ...CHATML,
    ...QWEN_TOOLS,
    defaultSystem: HELPFUL,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    media: { plugin: 'qwen2_omni', image: '<|IMAGE|>', video: '<|VIDEO|>', audio: '<|AUDIO|>' },
  },
  {
    name: 'qwen2_vl',
    suits: 'Qwen2-VL, Qwen2.5-VL',
    ...CHATML,
    ...QWEN_TOOLS,
    defaultSystem: HELPFUL,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    media: { plugin: 'qwen2_vl', image: '<|image_pad|>', video: '<|video_pad|>' },
  },
  {
    name: 'qwen3',
    suits: 'Qwen3',
    ...CHATML,
    ...QWEN_TOOLS,
    stopWords: ['<|im_end|>'],
    replaceEos: true,
    reasoning: true,
  },
  {
    name: 'sailor',
    suits: 'Sailor',
    system: ['<|im_start|>system\n{{content}}<|im_end|>\n'],
    user: ['<|im_start|>question\n{{content}}<|im_end|>\n<|im_start|>answer\n'],
    assistant: ['{{content}}<|im_end|>\n'],
    defaultSystem:
      'You are an AI assistant named Sailor created by Sea AI Lab. Your answer ' +
      'should be friendly, unbiased, faithful, informative and detailed.',
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'smollm',
    suits: 'SmolLM',
    ...CHATML,
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'smollm2',
    suits: 'SmolLM2',
    ...CHATML,
    defaultSystem: 'You are a helpful AI assistant named SmolLM, trained by Hugging Face.',
    stopWords: ['<|im_end|>'],
  },
  {
    name: 'yi',
    suits: 'Yi and Yi-1.5 Chat',
    ...CHATML,
    stopWords: ['<|im_end|>'],
  },
];
