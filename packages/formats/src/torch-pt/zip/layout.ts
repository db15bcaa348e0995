/**
 * Records of a ZIP file, as torch writes them. Source: PKWARE APPNOTE 6.3.10, and the layout of torch 2.13's writer.
 */

/** First bytes of each record, as little-endian u32. */
export const SIGNATURE = {
  local: 0x04034b50,
  descriptor: 0x08074b50,
  central: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
} as const;

/** Bytes of each record without its name, extra fields and comment. */
export const RECORD_BYTES = {
  local: 30,
  central: 46,
  end: 22,
  end64: 56,
  locator64: 20,
  descriptor: 16,
  descriptor64: 24,
} as const;

/** Bits of the flags of an entry. */
export const FLAG = {
  encrypted: 0x0001,
  /** Sizes and checksum follow the data. */
  descriptor: 0x0008,
  patched: 0x0020,
  strongEncryption: 0x0040,
  utf8: 0x0800,
  masked: 0x2000,
} as const;

/** Ways to compress. */
export const METHOD = { stored: 0, deflated: 8 } as const;

/** Largest value of a u16 and a u32 field; a field that has it is told in the ZIP64 records. */
export const MAX_U16 = 0xffff;
export const MAX_U32 = 0xffff_ffff;

/** Id of the extra field with 64-bit sizes. */
export const EXTRA_ZIP64 = 0x0001;

/** Id of the extra field with which torch pads ("FB"), and the letter with which it does. */
export const EXTRA_PADDING = 0x4246;
export const PADDING_BYTE = 0x5a;

/** Data of entries start at a multiple of this. */
export const DATA_ALIGNMENT = 64;
