/**
 * Templates with markers of their own. A data table.
 *
 * Source: format facts of the template registry of LLaMA-Factory v0.9.3 (Apache-2.0), as its models were trained.
 * Checked against: that registry, field by field, in test/fixtures/llama-factory.
 */
import { BOS, EOS, type TemplateSpec } from './slot-spec.js';

const GLM4 = {
  user: ['<|user|>\n{{content}}<|assistant|>'],
  assistant: ['\n{{content}}'],
  system: ['<|system|>\n{{content}}'],
  observation: ['<|observation|>\n{{content}}<|assistant|>'],
  prefix: ['[gMASK]<sop>'],
  function: ['{{content}}'],
  toolFormat: 'glm4',
} as const;

const MOONSHOT = {
  user: ['<|im_user|>user<|im_middle|>{{content}}<|im_end|><|im_assistant|>assistant<|im_middle|>'],
  assistant: ['{{content}}<|im_end|>'],
  system: ['<|im_system|>system<|im_middle|>{{content}}<|im_end|>'],
} as const;

const PHI = {
  user: ['<|user|>\n{{content}}<|end|>\n<|assistant|>\n'],
  assistant: ['{{content}}<|end|>\n'],
  system: ['<|system|>\n{{content}}<|end|>\n'],
} as const;

const CURIOUS_USER =
  'A chat between a curious user and an artificial intelligence assistant. The ' +
  "assistant gives helpful, detailed, and polite answers to the user's questions.";

const INTERN_SYSTEM =
  'You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM ' +
  '(书生·浦语) is a conversational language model that is developed by Shanghai ' +
  'AI Laboratory (上海人工智能实验室). It is designed to be helpful, honest, and ' +
  'harmless.\n- InternLM (书生·浦语) can understand and communicate fluently in ' +
  'the language chosen by the user such as English and 中文.';

/** In alphabetical order. */
export const MARKER_TEMPLATES: readonly TemplateSpec[] = [
  {
    name: 'baichuan',
    suits: 'Baichuan-13B-Chat',
    user: [{ token: '<reserved_102>' }, '{{content}}', { token: '<reserved_103>' }],
    efficientEos: true,
  },
  {
    name: 'baichuan2',
    suits: 'Baichuan2 Chat',
    user: ['<reserved_106>{{content}}<reserved_107>'],
    efficientEos: true,
  },
  {
    name: 'bailing',
    suits: 'Ling (Bailing)',
    system: ['<role>SYSTEM</role>{{content}}'],
    user: ['<role>HUMAN</role>{{content}}<role>ASSISTANT</role>'],
    observation: ['<role>OBSERVATION</role>{{content}}<role>ASSISTANT</role>'],
    stopWords: ['<|endoftext|>'],
    efficientEos: true,
  },
  {
    name: 'bluelm',
    suits: 'BlueLM Chat',
    user: [{ token: '[|Human|]:' }, '{{content}}', { token: '[|AI|]:' }],
  },
  {
    name: 'chatglm2',
    suits: 'ChatGLM2',
    prefix: [{ token: '[gMASK]' }, { token: 'sop' }],
    user: ['[Round {{idx}}]\n\n问：{{content}}\n\n答：'],
    efficientEos: true,
  },
  {
    name: 'chatglm3',
    suits: 'ChatGLM3',
    prefix: [{ token: '[gMASK]' }, { token: 'sop' }],
    system: [{ token: '<|system|>' }, '\n', '{{content}}'],
    user: [{ token: '<|user|>' }, '\n', '{{content}}', { token: '<|assistant|>' }],
    assistant: ['\n', '{{content}}'],
    function: ['{{content}}'],
    observation: [{ token: '<|observation|>' }, '\n', '{{content}}', { token: '<|assistant|>' }],
    toolFormat: 'glm4',
    stopWords: ['<|user|>', '<|observation|>'],
    efficientEos: true,
  },
  {
    name: 'codegeex2',
    suits: 'CodeGeeX2',
    prefix: [{ token: '[gMASK]' }, { token: 'sop' }],
  },
  {
    name: 'codegeex4',
    suits: 'CodeGeeX4',
    prefix: ['[gMASK]<sop>'],
    system: ['<|system|>\n{{content}}'],
    user: ['<|user|>\n{{content}}<|assistant|>\n'],
    observation: ['<|observation|>\n{{content}}<|assistant|>\n'],
    toolFormat: 'glm4',
    defaultSystem:
      '你是一位智能编程助手，你叫CodeGeeX。你会为用户回答关于编程、代码、' +
      '计算机方面的任何问题，并提供格式规范、可以执行、准确安全的代码，' +
      '并在必要时提供详细的解释。',
    stopWords: ['<|user|>', '<|observation|>'],
    efficientEos: true,
  },
  {
    name: 'cohere',
    suits: 'Command R, Aya 23',
    prefix: [BOS],
    system: ['<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{{content}}<|END_OF_TURN_TOKEN|>'],
    user: [
      '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{{content}}<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>',
    ],
  },
  {
    name: 'cpm',
    suits: 'MiniCPM 1 and 2',
    prefix: [BOS],
    user: ['<用户>{{content}}<AI>'],
  },
  {
    name: 'deepseek3',
    suits: 'DeepSeek V2.5, V3',
    prefix: [BOS],
    user: ['<｜User｜>{{content}}<｜Assistant｜>'],
  },
  {
    name: 'deepseekcoder',
    suits: 'DeepSeek Coder',
    prefix: [BOS],
    user: ['### Instruction:\n{{content}}\n### Response:'],
    assistant: ['\n{{content}}\n<|EOT|>\n'],
    defaultSystem:
      'You are an AI programming assistant, utilizing the DeepSeek Coder model, ' +
      'developed by DeepSeek Company, and you only answer questions related to ' +
      'computer science. For politically sensitive questions, security and privacy ' +
      'issues, and other non-computer science questions, you will refuse to answer.\n',
  },
  {
    name: 'deepseekr1',
    suits: 'DeepSeek R1 and its distilled models',
    prefix: [BOS],
    user: ['<｜User｜>{{content}}<｜Assistant｜>'],
    reasoning: true,
  },
  {
    name: 'exaone',
    suits: 'EXAONE 3',
    system: ['[|system|]{{content}}[|endofturn|]\n'],
    user: ['[|user|]{{content}}\n[|assistant|]'],
    assistant: ['{{content}}', EOS, '\n'],
  },
  {
    name: 'glm4',
    suits: 'GLM-4 Chat',
    ...GLM4,
    stopWords: ['<|user|>', '<|observation|>'],
    efficientEos: true,
  },
  {
    name: 'glmz1',
    suits: 'GLM-Z1',
    ...GLM4,
    stopWords: ['<|user|>', '<|observation|>'],
    efficientEos: true,
    reasoning: true,
  },
  {
    name: 'granite3',
    suits: 'Granite 3',
    system: ['<|start_of_role|>system<|end_of_role|>{{content}}<|end_of_text|>\n'],
    user: [
      '<|start_of_role|>user<|end_of_role|>{{content}}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>',
    ],
    assistant: ['{{content}}<|end_of_text|>\n'],
  },
  {
    name: 'granite3_vision',
    suits: 'Granite Vision 3',
    system: ['<|system|>\n{{content}}\n'],
    user: ['<|user|>\n{{content}}\n<|assistant|>\n'],
    defaultSystem: CURIOUS_USER,
    media: { plugin: 'llava_next', image: '<image>' },
  },
  {
    name: 'hunyuan',
    suits: 'Hunyuan Instruct',
    prefix: ['<|bos|>'],
    system: ['<|bos|>system\n{{content}}<|eos|>\n'],
    user: ['<|bos|>user\n{{content}}<|eos|>\n<|bos|>assistant\n'],
    assistant: ['{{content}}<|eos|>\n'],
    stopWords: ['<|eos|>'],
  },
  {
    name: 'index',
    suits: 'Index 1.9B Chat',
    system: ['<unk>{{content}}'],
    user: ['reserved_0{{content}}reserved_1'],
    efficientEos: true,
  },
  {
    name: 'intern',
    suits: 'InternLM Chat',
    prefix: [BOS],
    system: ['<|System|>:{{content}}\n'],
    user: ['<|User|>:{{content}}\n<|Bot|>:'],
    assistant: ['{{content}}<eoa>\n'],
    defaultSystem: INTERN_SYSTEM,
    stopWords: ['<eoa>'],
  },
  {
    name: 'kimi_vl',
    suits: 'Kimi-VL',
    ...MOONSHOT,
    defaultSystem: 'You are a helpful assistant',
    stopWords: ['<|im_end|>'],
    thoughtWords: ['◁think▷', '◁/think▷'],
    reasoning: true,
    media: { plugin: 'kimi_vl', image: '<|media_pad|>' },
  },
  {
    name: 'moonlight',
    suits: 'Moonlight',
    ...MOONSHOT,
    defaultSystem: 'You are a helpful assistant provided by Moonshot-AI.',
    stopWords: ['<|im_end|>'],
    replaceEos: true,
  },
  {
    name: 'olmo',
    suits: 'OLMo Instruct',
    prefix: [EOS],
    user: ['<|user|>\n{{content}}<|assistant|>\n'],
  },
  {
    name: 'phi',
    suits: 'Phi-3 mini and medium, Phi-3.5',
    ...PHI,
    stopWords: ['<|end|>'],
    replaceEos: true,
  },
  {
    name: 'phi_small',
    suits: 'Phi-3 small',
    ...PHI,
    stopWords: ['<|end|>'],
    replaceEos: true,
  },
  {
    name: 'starchat',
    suits: 'StarChat',
    system: ['<|system|>\n{{content}}<|end|>\n'],
    user: ['<|user|>\n{{content}}<|end|>\n<|assistant|>'],
    assistant: ['{{content}}<|end|>\n'],
    stopWords: ['<|end|>'],
  },
  {
    name: 'telechat',
    suits: 'TeleChat',
    system: ['<_system>{{content}}<_end>'],
    user: ['<_user>{{content}}<_bot>'],
  },
  {
    name: 'telechat2',
    suits: 'TeleChat2',
    system: ['<_system>{{content}}'],
    user: ['<_user>{{content}}<_bot>'],
    defaultSystem:
      '你是中国电信星辰语义大模型，英文名是TeleChat，' +
      '你是由中电信人工智能科技有限公司和中国电信人工智能研究院（TeleAI）研发的人工智能助手。',
  },
  {
    name: 'yayi',
    suits: 'YaYi',
    system: [{ token: '<|System|>' }, ':\n{{content}}\n\n'],
    user: [{ token: '<|Human|>' }, ':\n{{content}}\n\n', { token: '<|YaYi|>' }, ':'],
    assistant: ['{{content}}\n\n'],
    defaultSystem:
      'You are a helpful, respectful and honest assistant named YaYi developed by ' +
      'Beijing Wenge Technology Co.,Ltd. Always answer as helpfully as possible, ' +
      'while being safe.  Your answers should not include any harmful, unethical, ' +
      'racist, sexist, toxic, dangerous, or illegal content. Please ensure that your ' +
      'responses are socially unbiased and positive in nature.\n\nIf a question does ' +
      'not make any sense, or is not factually coherent, explain why instead of ' +
      "answering something not correct. If you don't know the answer to a question, " +
      "please don't share false information.",
    stopWords: ['<|End|>'],
  },
  {
    name: 'yuan',
    suits: 'Yuan 2',
    user: ['{{content}}', { token: '<sep>' }],
    assistant: ['{{content}}<eod>\n'],
    stopWords: ['<eod>'],
  },
  {
    name: 'zephyr',
    suits: 'Zephyr',
    system: ['<|system|>\n{{content}}', EOS],
    user: ['<|user|>\n{{content}}', EOS, '<|assistant|>\n'],
    defaultSystem: 'You are Zephyr, a helpful assistant.',
  },
  {
    name: 'ziya',
    suits: 'Ziya',
    user: ['<human>:{{content}}\n<bot>:'],
    assistant: ['{{content}}\n'],
  },
];
