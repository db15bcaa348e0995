/**
 * The mark by which torch's caches know an archive: forty digits from the names and the checksums of its entries.
 *
 * torch hashes names in the order of a hash table of its standard library, which nobody else can follow; the second
 * half is that of torch. Source: `writeSerializationId` in caffe2/serialize/inline_container.cc of torch 2.13.
 */

const MASK = 0xffff_ffff_ffff_ffffn;
const GOLDEN = 0x9e37_79b9n;

/** Throws nothing; the same entries give the same digits. */
export function serializationId(
  entries: readonly { readonly name: string; readonly byteLength: number; readonly crc: number }[],
): string {
  let names = 0n;
  let checksums = 0n;
  for (const { name, byteLength, crc } of entries) {
    names = combined(names, nameHash(name));
    if (byteLength > 0) checksums = combined(checksums, BigInt(crc));
  }
  return digits(names) + digits(checksums);
}

function combined(seed: bigint, value: bigint): bigint {
  return (seed ^ (value + GOLDEN + (seed << 6n) + (seed >> 2n))) & MASK;
}

/** FNV-1a of 64 bits. */
function nameHash(name: string): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of Buffer.from(name, 'utf8')) {
    hash = ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & MASK;
  }
  return hash;
}

function digits(value: bigint): string {
  return value.toString().padStart(20, '0');
}
