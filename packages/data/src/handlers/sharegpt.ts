/** Dialogue records: ShareGPT `conversations` with from/value, and OpenAI `messages` with role/content. */
import type { ParsedDialogue } from './alpaca.js';
import {
  type ConversationMessage,
  checkTurns,
  isRejection,
  type Rejection,
  reject,
  type ToolCall,
} from './conversation.js';
import type { RoleTags } from './dataset-spec.js';
import type { RecordColumns } from './record-columns.js';
import { parseExtras, type RecordExtras } from './record-extras.js';
import {
  firstRejection,
  isJsonRecord,
  type JsonRecord,
  optionalText,
  parseJson,
  wrongType,
} from './record-fields.js';

/**
 * Turns one dialogue record into a dialogue.
 *
 * A leading system turn wins over the system column. A `function_call` turn is an assistant turn with tool
 * calls, an `observation` turn is a tool result. Source: LLaMA-Factory v0.9.3, data format "sharegpt";
 * OpenAI chat fine-tuning format for `tool_calls`, `tool_call_id` and content parts.
 */
export function parseShareGpt(
  record: JsonRecord,
  columns: RecordColumns,
  tags: RoleTags,
): ParsedDialogue | Rejection {
  const dialogue = parseTurns(record, columns, tags);
  if (isRejection(dialogue)) return dialogue;
  const path = turnPath(record, dialogue, columns);
  return checkTurns(dialogue.messages, { path }) ?? dialogue;
}

/** Tells where a message stands in its record; system text of a column has been put in front. */
export function turnPath(
  record: JsonRecord,
  { messages }: ParsedDialogue,
  columns: RecordColumns,
): (index: number) => string {
  const turns = record[columns.messages];
  const shift = messages.length - (Array.isArray(turns) ? turns.length : messages.length);
  return (index) =>
    index < shift ? `'${columns.system}'` : `'${columns.messages}[${index - shift}]'`;
}

/** The turns of a dialogue record, whatever their order. */
export function parseTurns(
  record: JsonRecord,
  columns: RecordColumns,
  tags: RoleTags,
): ParsedDialogue | Rejection {
  const turns = record[columns.messages];
  if (turns === undefined || turns === null) {
    const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
    return reject('missing_field', `no field '${columns.messages}'; fields found: ${found}`);
  }
  if (!Array.isArray(turns)) return wrongType(columns.messages, turns, 'a list of turns');
  const system = optionalText(record, columns.system);
  const extras = parseExtras(record, columns);
  const fault = firstRejection(system, extras);
  if (fault !== undefined) return fault;
  const parsed: ConversationMessage[] = [];
  for (const [index, turn] of turns.entries()) {
    const message = parseTurn(turn, `${columns.messages}[${index}]`, tags);
    if (isRejection(message)) return message;
    parsed.push(message);
  }
  const needsSystem = system !== '' && parsed[0]?.role !== 'system';
  const messages: ConversationMessage[] = needsSystem
    ? [{ role: 'system', content: system as string }, ...parsed]
    : parsed;
  return { messages, ...(extras as RecordExtras) };
}

/** One turn of a dialogue record; `where` is its JSON path. */
export function parseTurn(
  turn: unknown,
  where: string,
  tags: RoleTags,
): ConversationMessage | Rejection {
  if (!isJsonRecord(turn)) return wrongType(where, turn, 'an object with role and content');
  const role = turn[tags.role_tag];
  if (typeof role !== 'string') {
    return wrongType(`${where}.${tags.role_tag}`, role, `the text of a role`);
  }
  const content = turnContent(turn, `${where}.${tags.content_tag}`, tags);
  if (isRejection(content)) return content;
  switch (role) {
    case tags.user_tag:
      return { role: 'user', content };
    case tags.system_tag:
    case 'developer':
      return { role: 'system', content };
    case tags.observation_tag:
      return toolResult(turn, content);
    case tags.function_tag:
      return functionCall(content, where);
    case tags.assistant_tag:
      return answer(turn, content, where);
    default:
      return reject(
        'unknown_role',
        `'${where}' has the role '${role}'; known: ${knownRoles(tags)}`,
      );
  }
}

function knownRoles(tags: RoleTags): string {
  return [
    tags.user_tag,
    tags.assistant_tag,
    tags.system_tag,
    tags.observation_tag,
    tags.function_tag,
  ].join(', ');
}

/** Text, null beside tool calls, or a list of text parts. */
function turnContent(turn: JsonRecord, where: string, tags: RoleTags): string | Rejection {
  const content = turn[tags.content_tag];
  if (typeof content === 'string') return content;
  const hasCalls = turn['tool_calls'] !== undefined && turn['tool_calls'] !== null;
  if ((content === null || content === undefined) && hasCalls) return '';
  if (!Array.isArray(content)) return wrongType(where, content, 'text');
  const texts: string[] = [];
  for (const part of content) {
    if (!isJsonRecord(part) || part['type'] !== 'text' || typeof part['text'] !== 'string') {
      return reject('unsupported_content', `'${where}' has a part that is not text`);
    }
    texts.push(part['text']);
  }
  return texts.join('');
}

function toolResult(turn: JsonRecord, content: string): ConversationMessage {
  const id = turn['tool_call_id'];
  const name = turn['name'];
  return {
    role: 'tool',
    content,
    ...(typeof id === 'string' ? { tool_call_id: id } : {}),
    ...(typeof name === 'string' ? { name } : {}),
  };
}

const THOUGHT = /<think>.*<\/think>/s;

/** A ShareGPT function call: JSON text of one call or of a list of calls, perhaps with a thought around it. */
function functionCall(content: string, where: string): ConversationMessage | Rejection {
  const thought = THOUGHT.exec(content)?.[0] ?? '';
  const parsed = parseJson(thought === '' ? content : content.replace(thought, ''));
  if (parsed === undefined) return reject('bad_tools', `'${where}' is not the JSON text of a call`);
  const calls: ToolCall[] = [];
  for (const call of Array.isArray(parsed) ? parsed : [parsed]) {
    const one = toolCall(call, where);
    if (isRejection(one)) return one;
    calls.push(one);
  }
  if (calls.length === 0) return reject('bad_tools', `'${where}' is an empty list of calls`);
  return { role: 'assistant', content: thought, tool_calls: calls, call_text: content };
}

function answer(turn: JsonRecord, content: string, where: string): ConversationMessage | Rejection {
  const thought = turn['reasoning_content'];
  const message: ConversationMessage =
    typeof thought === 'string' && thought !== ''
      ? { role: 'assistant', content, reasoning_content: thought }
      : { role: 'assistant', content };
  const raw = turn['tool_calls'];
  if (raw === undefined || raw === null) return message;
  if (!Array.isArray(raw)) return wrongType(`${where}.tool_calls`, raw, 'a list of calls');
  const calls: ToolCall[] = [];
  for (const [index, call] of raw.entries()) {
    const place = `${where}.tool_calls[${index}]`;
    const inner = isJsonRecord(call) ? call['function'] : undefined;
    const one = toolCall(inner, place);
    if (isRejection(one)) return one;
    const id = (call as JsonRecord)['id'];
    calls.push(typeof id === 'string' ? { ...one, id } : one);
  }
  return calls.length === 0 ? message : { ...message, tool_calls: calls };
}

function toolCall(value: unknown, where: string): ToolCall | Rejection {
  const name = isJsonRecord(value) ? value['name'] : undefined;
  if (!isJsonRecord(value) || typeof name !== 'string') {
    return reject('bad_tools', `'${where}' is not a call with a name and arguments`);
  }
  const raw = value['arguments'] ?? {};
  const parsed = typeof raw === 'string' ? parseJson(raw) : raw;
  if (parsed === undefined) {
    return reject('bad_tools', `'${where}': the arguments of '${name}' are not JSON`);
  }
  return { type: 'function', function: { name, arguments: parsed } };
}
