/** Bounds of the readers. A file is hostile until it is read. */

/**
 * Bytes of one record. The largest real records are whole books in pre-training corpora, a few MiB each;
 * 64 MiB leaves room and still stops a missing quote or line end from swallowing a file into memory.
 */
export const MAX_RECORD_BYTES = 64 * 1024 * 1024;

/** Depth of brackets in one record. Tool schemas reach about 12; JSON.parse recurses natively. */
export const MAX_JSON_DEPTH = 512;

/** Bytes per read from disk of a stream that is cut in one go. */
export const READ_CHUNK_BYTES = 256 * 1024;

/** Bytes of lines parsed at a time: large enough that a read costs nothing, small enough for a cache. */
export const LINE_WINDOW_BYTES = 1024 * 1024;

/** Bytes of a unit of reading when the caller names none: about a tenth of a second of tokenizing. */
export const DEFAULT_UNIT_BYTES = 4 * 1024 * 1024;

/** Smallest unit of reading; smaller ones are all overhead. */
export const MIN_UNIT_BYTES = 64;

/** Bytes of a file that are looked at to tell what it holds. */
export const SNIFF_BYTES = 64 * 1024;

/**
 * How many times its size a compressed file may become, looked at beyond {@link EXPANSION_FLOOR_BYTES}. Text reaches
 * 5 to 20, logs of one repeated line about 300; gzip cannot pass 1032, Zstandard can reach 40,000.
 */
export const MAX_EXPANSION = 1000;

/** Bytes that any compressed file may become. */
export const EXPANSION_FLOOR_BYTES = 256 * 1024 * 1024;

/** Bytes of the footer of a columnar file. That of a file of 10,000 row groups of 20 columns has about 20 MiB. */
export const MAX_FOOTER_BYTES = 256 * 1024 * 1024;

/** Bytes of one unpacked Parquet page: of about 1 MiB as a rule, 1,024 long documents with pyarrow's defaults. */
export const MAX_PAGE_BYTES = 1024 * 1024 * 1024;

/** Bytes that a Parquet page of any size may become; beyond it {@link MAX_EXPANSION} holds. */
export const PAGE_EXPANSION_FLOOR_BYTES = 16 * 1024 * 1024;

/** Values of one Parquet page. Writers stop at 20,000 rows or 1 MiB; a run-length coded page can hold a row group. */
export const MAX_PAGE_VALUES = 1 << 24;

/** Bytes of a Parquet page header; its statistics can hold a longest and a shortest value. */
export const MAX_PAGE_HEADER_BYTES = 16 * 1024 * 1024;

/** Rows handed out at a time from a columnar file. */
export const ROW_BATCH = 1024;

/**
 * Smallest part of a Parquet row group with lists: its rows are found only by unpacking all before them, which a worker
 * that reads part after part need not do again, but one that reads something else between has to.
 */
export const MIN_LIST_PART_BYTES = 16 * 1024 * 1024;
