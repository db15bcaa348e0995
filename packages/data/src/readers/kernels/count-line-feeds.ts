/** Counts line ends. Every index read is below the length of the array it is read from. */

/** Returns how many line feeds `bytes` holds. */
export function countLineFeeds(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at]! === 0x0a) count++;
  }
  return count;
}
