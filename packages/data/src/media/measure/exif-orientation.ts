/** The orientation tag of an EXIF block. */

const ORIENTATION_TAG = 0x0112;
const SHORT_TYPE = 3;

/** Orientation 1 to 8 of a TIFF-shaped EXIF block; 1 when it is damaged or has none. */
export function exifOrientation(block: Uint8Array): number {
  try {
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const order = view.getUint16(0);
    if (order !== 0x4949 && order !== 0x4d4d) return 1;
    const isLittle = order === 0x4949;
    const at = view.getUint32(4, isLittle);
    const count = view.getUint16(at, isLittle);
    for (let i = 0; i < count; i++) {
      const entry = at + 2 + i * 12;
      if (view.getUint16(entry, isLittle) !== ORIENTATION_TAG) continue;
      if (view.getUint16(entry + 2, isLittle) !== SHORT_TYPE) return 1;
      const value = view.getUint16(entry + 8, isLittle);
      return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
  } catch {
    // DataView throws only on reads past the end; viewers show a picture with damaged EXIF unturned.
    return 1;
  }
}
