/**
 * From a dialogue to the four kinds of turns that named templates know: questions, answers, calls and results.
 *
 * Calls become JSON text first, because that is what the templates of LLaMA-Factory read; a record that already has
 * the text keeps its spelling of numbers and its order of keys that way.
 */
import {
  type ConversationMessage,
  isRejection,
  type Rejection,
  reject,
} from '../handlers/conversation.js';
import {
  formatPythonJson,
  isList,
  type PythonValue,
  parsePythonJson,
  toPythonValue,
} from '../templates/tools/python-json.js';
import type { FunctionCall } from '../templates/tools/tool-formats.js';
import type { Dialogue } from './prompt-template.js';

/** One turn as a template sees it. */
export interface SlotMessage {
  readonly role: 'user' | 'assistant' | 'observation' | 'function';
  readonly content: string;
}

/** A dialogue as a template sees it. */
export interface SlotDialogue {
  /** Null: the dialogue brings none. */
  readonly system: string | null;
  /** Null: no tools. */
  readonly tools: PythonValue | null;
  readonly messages: readonly SlotMessage[];
}

/** Sorts the turns of a dialogue. Refused: turns that do not alternate, calls that cannot be written. */
export function slotDialogue(dialogue: Dialogue): SlotDialogue | Rejection {
  const [first, ...rest] = dialogue.messages;
  const hasSystem = first?.role === 'system';
  const turns = hasSystem ? rest : dialogue.messages;
  const tools = toolsOf(dialogue);
  if (isRejection(tools)) return tools;
  const messages: SlotMessage[] = [];
  for (const [index, turn] of turns.entries()) {
    const message = slotMessage(turn, index);
    if (isRejection(message)) return message;
    messages.push(message);
  }
  return { system: hasSystem ? first.content : null, tools, messages };
}

function toolsOf(dialogue: Dialogue): PythonValue | null | Rejection {
  const { tools, toolsText } = dialogue;
  if (toolsText === undefined || toolsText === '') {
    return tools === undefined ? null : toPythonValue(tools);
  }
  const parsed = parsePythonJson(toolsText);
  return parsed === undefined ? reject('bad_tools', 'the tools are not JSON') : parsed;
}

function slotMessage(turn: ConversationMessage, index: number): SlotMessage | Rejection {
  const isQuestion = turn.role === 'user' || turn.role === 'tool';
  if (isQuestion !== (index % 2 === 0) || turn.role === 'system') {
    const expected = index % 2 === 0 ? 'a question or one result' : 'an answer or a call';
    const found = `turn ${index + 1} is ${turn.role}`;
    return reject('wrong_role_order', `${found}; named templates take ${expected} there`);
  }
  if (turn.role === 'user') return { role: 'user', content: turn.content };
  if (turn.role === 'tool') return { role: 'observation', content: turn.content };
  const callText = turn['call_text'];
  if (typeof callText === 'string') return { role: 'function', content: callText };
  if (turn.tool_calls === undefined) return { role: 'assistant', content: turn.content };
  return callMessage(turn, index);
}

const THOUGHT = /<think>.*<\/think>/s;

function callMessage(turn: ConversationMessage, index: number): SlotMessage | Rejection {
  const thought = THOUGHT.exec(turn.content)?.[0] ?? '';
  if (turn.content.replace(thought, '').trim() !== '') {
    const what = `turn ${index + 1} has text and calls`;
    return reject('bad_tools', `${what}; named templates write one of the two`);
  }
  const calls = (turn.tool_calls ?? []).map(
    ({ function: { name, arguments: values } }) =>
      new Map<string, PythonValue>([
        ['name', name],
        ['arguments', toPythonValue(values)],
      ]),
  );
  return { role: 'function', content: thought + formatPythonJson(calls) };
}

/** What a turn of calls says: perhaps a thought, then the calls. */
export interface CallTurn {
  readonly thought: string;
  readonly calls: readonly FunctionCall[];
}

/** Reads the text of a call turn: JSON of one call or a list, perhaps with a thought around it. */
export function readCalls(content: string): CallTurn | Rejection {
  const thought = THOUGHT.exec(content)?.[0] ?? '';
  const text = thought === '' ? content : content.replaceAll(thought, '');
  const parsed = parsePythonJson(text);
  if (parsed === undefined) return reject('bad_tools', 'a call is not JSON');
  const calls: FunctionCall[] = [];
  for (const item of isList(parsed) ? parsed : [parsed]) {
    const name = item instanceof Map ? item.get('name') : undefined;
    const values = item instanceof Map ? item.get('arguments') : undefined;
    if (typeof name !== 'string' || values === undefined) {
      return reject('bad_tools', 'a call has not both a name and arguments');
    }
    calls.push({ name, arguments: values });
  }
  return { thought, calls };
}
