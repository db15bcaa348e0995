/** A named template as text: for looking at, and for comparing it with a model's own. */
import { fillSlots, type Slot, type TemplateSpec, turnSlots } from './slot-spec.js';

/** Texts of the tokenizer's own special tokens. */
export interface SpecialTexts {
  readonly bos: string;
  readonly eos: string;
}

/** A turn to write. */
export interface TextTurn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Slots joined to one text. */
export function slotText(slots: readonly Slot[], { bos, eos }: SpecialTexts): string {
  return slots
    .map((slot) => {
      if (typeof slot === 'string') return slot;
      if ('token' in slot) return slot.token;
      return slot.special === 'bos' ? bos : eos;
    })
    .join('');
}

/** A dialogue as a template writes it, without tools and thoughts. */
export function specText(
  spec: TemplateSpec,
  turns: readonly TextTurn[],
  specials: SpecialTexts,
): string {
  const first = turns[0];
  const own = first?.role === 'system' ? first.content : undefined;
  const system = own ?? spec.defaultSystem ?? '';
  const slots = turnSlots(spec);
  const framed = system === '' ? [] : fillSlots(slots.system, system);
  const rest = own === undefined ? turns : turns.slice(1);
  const isInside = spec.systemInUser === true;
  const parts = [...slots.prefix, ...(isInside ? [] : framed)];
  for (const [i, { role, content }] of rest.entries()) {
    const before = isInside && i === 0 ? slotText(framed, specials) : '';
    const turn = role === 'assistant' ? slots.assistant : slots.user;
    parts.push(...fillSlots(turn, before + content, String(Math.floor(i / 2))));
  }
  return slotText(parts, specials);
}
