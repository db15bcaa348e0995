/**
 * The byte alphabet of GPT-2: each byte is written as one printable character, so that a vocabulary of
 * byte strings can be kept as JSON text. Printable Latin-1 bytes stand for themselves, the other 68
 * get U+0100 onwards in byte order.
 */

const BYTE_TO_CHAR: readonly string[] = buildAlphabet();
/** The byte each character of the alphabet stands for. */
export const CHAR_TO_BYTE: ReadonlyMap<string, number> = new Map(
  BYTE_TO_CHAR.map((char, byte) => [char, byte]),
);
const utf8 = new TextEncoder();

/** The character that stands for `byte` (0 … 255). */
export function byteChar(byte: number): string {
  return BYTE_TO_CHAR[byte] ?? '';
}

/** Writes the UTF-8 bytes of `text` in the byte alphabet. */
export function toByteLevel(text: string): string {
  let out = '';
  for (const byte of utf8.encode(text)) {
    out += byteChar(byte);
  }
  return out;
}

/**
 * The bytes a byte-level token stands for. A token with any character outside the alphabet (an added
 * token with a space, say) stands for its own UTF-8 text.
 */
export function fromByteLevel(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = CHAR_TO_BYTE.get(char);
    if (byte === undefined) {
      return utf8.encode(token);
    }
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
}

function buildAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
}
