/**
 * How tools are described to a model and how its calls are written, per family.
 *
 * Source: the wording that the models were trained on, as in LLaMA-Factory v0.9.3 (Apache-2.0), `tool_utils`;
 * llama3: the JSON-based tool calling of Llama 3.1's model card.
 * Checked against: LLaMA-Factory v0.9.3, test/fixtures/llama-factory.
 */
import type { ToolFormat } from '../slots/slot-spec.js';
import {
  formatPythonJson,
  isList,
  PythonNumber,
  type PythonValue,
  pythonText,
} from './python-json.js';

/** A call of a function. */
export interface FunctionCall {
  readonly name: string;
  readonly arguments: PythonValue;
}

/** What a format needs besides the tools. */
export interface ToolContext {
  /** Today as `25 Nov 2026`; Llama 3 is told the date. */
  readonly date: string;
}

/** Tools or calls that a format cannot write; the message says why. */
export class BadTools extends Error {}

interface ToolWriter {
  describe(tools: readonly ToolMap[], context: ToolContext): string;
  call(calls: readonly FunctionCall[]): string;
}

type ToolMap = ReadonlyMap<string, PythonValue>;

/**
 * Describes tools; an empty list gives an empty text.
 *
 * Throws: {@link BadTools} when a tool has not the members that the format needs.
 */
export function describeTools(
  format: ToolFormat,
  tools: PythonValue,
  context: ToolContext,
): string {
  if (!isList(tools)) throw new BadTools('tools are not a list');
  if (tools.length === 0) return '';
  return WRITERS[format].describe(
    tools.map((tool, i) => asMap(tool, `tool ${i + 1}`)),
    context,
  );
}

/** Writes calls. Throws: {@link BadTools} when the format takes only one. */
export function writeCalls(format: ToolFormat, calls: readonly FunctionCall[]): string {
  return WRITERS[format].call(calls);
}

const DEFAULT: ToolWriter = {
  describe(tools) {
    const functions = tools.map(functionOf);
    const names = functions.map((tool) => textMember(tool, 'name'));
    return [
      'You have access to the following tools:\n',
      ...functions.map(describeDefault),
      'Use the following format if using a tool:\n```\n',
      `Action: tool name (one of [${names.join(', ')}])\n`,
      'Action Input: the input to the tool, in a JSON format representing the kwargs ',
      '(e.g. ```{"input": "hello world", "num_beams": 5}```)\n```\n',
    ].join('');
  },
  call: (calls) =>
    calls
      .map((call) => `Action: ${call.name}\nAction Input: ${formatPythonJson(call.arguments)}`)
      .join('\n'),
};

function describeDefault(tool: ToolMap): string {
  const parameters = asMap(tool.get('parameters'), `'parameters' of a tool`);
  const properties = asMap(parameters.get('properties'), `'properties' of a tool's parameters`);
  const required = parameters.get('required') ?? [];
  if (!isList(required)) throw new BadTools(`'required' of a tool's parameters is not a list`);
  const lines = [...properties].map(([name, value]) =>
    describeParameter(name, asMap(value, `parameter ${name}`), required.includes(name)),
  );
  const description = optionalText(tool, 'description');
  return `> Tool Name: ${textMember(tool, 'name')}\nTool Description: ${description}\nTool Args:\n${lines.join('')}\n`;
}

function describeParameter(name: string, parameter: ToolMap, isRequired: boolean): string {
  const choices = parameter.get('enum');
  const items = parameter.get('items');
  return [
    `  - ${name} (${optionalText(parameter, 'type')}${isRequired ? ', required' : ''}): ${optionalText(parameter, 'description')}`,
    isTruthy(choices) ? `, should be one of [${joinTexts(choices, name)}]` : '',
    isTruthy(items) ? `, where each item should be ${itemType(items, name)}` : '',
    '\n',
  ].join('');
}

function itemType(items: PythonValue | undefined, name: string): string {
  return optionalText(asMap(items, `'items' of parameter ${name}`), 'type');
}

function joinTexts(value: PythonValue | undefined, name: string): string {
  const isTexts = isList(value) && value.every((item) => typeof item === 'string');
  if (!isTexts) throw new BadTools(`'enum' of parameter ${name} is not a list of texts`);
  return value.join(', ');
}

/** Python's idea of truth. */
function isTruthy(value: PythonValue | undefined): boolean {
  if (value instanceof PythonNumber) return Number(value.text) !== 0;
  if (isList(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value);
}

const GLM4: ToolWriter = {
  describe: (tools) =>
    '你是一个名为 ChatGLM 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，' +
    '你的任务是针对用户的问题和要求提供适当的答复和支持。# 可用工具' +
    tools
      .map(functionOf)
      .map(
        (tool) =>
          `\n\n## ${textMember(tool, 'name')}\n\n${formatPythonJson(tool, 4)}\n` +
          '在调用上述函数时，请使用 Json 格式表示调用的参数。',
      )
      .join(''),
  call(calls) {
    const [call] = calls;
    if (call === undefined || calls.length > 1) {
      throw new BadTools(`GLM-4 makes one call in a turn, not ${calls.length}`);
    }
    return `${call.name}\n${formatPythonJson(call.arguments)}`;
  },
};

const LLAMA3: ToolWriter = {
  describe: (tools, { date }) =>
    `Cutting Knowledge Date: December 2023\nToday Date: ${date}\n\n` +
    'You have access to the following functions. ' +
    'To call a function, please respond with JSON for a function call. ' +
    'Respond in the format {"name": function name, ' +
    '"parameters": dictionary of argument name and its value}. ' +
    'Do not use variables.\n\n' +
    tools.map((tool) => `${formatPythonJson(wrapped(tool), 4)}\n\n`).join(''),
  call(calls) {
    const objects = calls.map((call) => callObject(call, 'parameters'));
    const [only] = objects;
    return formatPythonJson(only !== undefined && objects.length === 1 ? only : objects);
  },
};

const MISTRAL: ToolWriter = {
  describe: (tools) =>
    `[AVAILABLE_TOOLS] ${formatPythonJson(tools.map(wrapped))}[/AVAILABLE_TOOLS]`,
  call: (calls) => formatPythonJson(calls.map((call) => callObject(call, 'arguments'))),
};

const QWEN: ToolWriter = {
  describe: (tools) =>
    '\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' +
    'You are provided with function signatures within <tools></tools> XML tags:\n<tools>' +
    tools.map((tool) => `\n${formatPythonJson(wrapped(tool))}`).join('') +
    '\n</tools>\n\nFor each function call, return a json object with function name and ' +
    'arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n' +
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
  call: (calls) =>
    calls
      .map((call) => formatPythonJson(callObject(call, 'arguments')))
      .map((text) => `<tool_call>\n${text}\n</tool_call>`)
      .join('\n'),
};

const WRITERS: { readonly [format in ToolFormat]: ToolWriter } = {
  default: DEFAULT,
  glm4: GLM4,
  llama3: LLAMA3,
  mistral: MISTRAL,
  qwen: QWEN,
};

/** A tool may stand bare or inside `{"type": "function", "function": …}`. */
function functionOf(tool: ToolMap): ToolMap {
  if (tool.get('type') !== 'function') return tool;
  return asMap(tool.get('function'), `'function' of a tool`);
}

function wrapped(tool: ToolMap): ToolMap {
  if (tool.get('type') === 'function') return tool;
  return new Map<string, PythonValue>([
    ['type', 'function'],
    ['function', tool],
  ]);
}

function callObject(call: FunctionCall, key: 'parameters' | 'arguments'): ToolMap {
  return new Map<string, PythonValue>([
    ['name', call.name],
    [key, call.arguments],
  ]);
}

function asMap(value: PythonValue | undefined, what: string): ToolMap {
  if (value instanceof Map) return value;
  throw new BadTools(`${what} is ${value === undefined ? 'missing' : 'not an object'}`);
}

function textMember(tool: ToolMap, key: string): string {
  const value = tool.get(key);
  if (value === undefined) throw new BadTools(`a tool has no '${key}'`);
  return pythonText(value);
}

function optionalText(map: ToolMap, key: string): string {
  const value = map.get(key);
  return value === undefined ? '' : pythonText(value);
}
