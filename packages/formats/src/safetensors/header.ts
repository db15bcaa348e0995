/**
 * Parses and checks the header of one safetensors file: every byte of the data belongs to exactly one
 * tensor, and every tensor has the bytes that its shape asks for.
 */
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { isJsonObject, parseJsonObject } from './header-json.js';
import {
  isSafetensorsDtype,
  METADATA_KEY,
  shapeText,
  type TensorSpec,
  tensorByteLength,
} from './layout.js';

/** A tensor with its byte range relative to the start of the data. */
export interface HeaderTensor extends TensorSpec {
  readonly begin: number;
  readonly end: number;
}

/** A checked header; tensors in the order of their bytes. */
export interface SafetensorsHeader {
  readonly tensors: readonly HeaderTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Parses the JSON of a header and checks it against the number of data bytes that follow.
 *
 * Throws: `SAFETENSORS_…`, see errors.ts; `where` names the file in messages.
 */
export function parseSafetensorsHeader(
  json: Uint8Array,
  dataBytes: number,
  where: string,
): SafetensorsHeader {
  const { names, value } = parseJsonObject(json, where);
  let metadata: Readonly<Record<string, string>> = {};
  const tensors: HeaderTensor[] = [];
  for (const name of names) {
    if (name === METADATA_KEY) metadata = parseMetadata(value[name], where);
    else tensors.push(parseTensor(name, value[name], where));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(tensors, dataBytes, where);
  return { tensors, metadata };
}

function parseMetadata(value: unknown, where: string): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_BAD_METADATA,
      `${where}: ${METADATA_KEY} must be an object of strings`,
    );
  }
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_BAD_METADATA,
        `${where}: ${METADATA_KEY} ${quoteName(key)} must be a string, found ${typeof item}`,
        { details: { key } },
      );
    }
  }
  return value as Readonly<Record<string, string>>;
}

function parseTensor(name: string, value: unknown, where: string): HeaderTensor {
  const at = `${where}: tensor ${quoteName(name)}`;
  if (!isJsonObject(value)) throw badEntry(`${at} must be an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') throw badEntry(`${at} lacks a string dtype`);
  if (!isSafetensorsDtype(dtype)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_UNKNOWN_DTYPE,
      `${at} has the unknown dtype ${quoteName(dtype)}`,
      { details: { tensor: name, dtype } },
    );
  }
  if (!isCountList(shape)) throw badEntry(`${at} lacks a shape of non-negative integers`);
  if (!isCountList(offsets)) throw badEntry(`${at} lacks data_offsets of two integers`);
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2) {
    throw badEntry(`${at} must have two data_offsets, found ${offsets.length}`);
  }
  if (end < begin) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_OFFSETS_REVERSED,
      `${at} ends at ${end}, before it begins at ${begin}`,
      { details: { tensor: name, begin, end } },
    );
  }
  const tensor = { name, dtype, shape, begin, end };
  checkSize(tensor, tensorByteLength(tensor, where), at);
  return tensor;
}

function checkSize(tensor: HeaderTensor, byteLength: number, at: string): void {
  if (tensor.end - tensor.begin === byteLength) return;
  throw new TuneyardError(
    SAFETENSORS_ERRORS.SAFETENSORS_SIZE_MISMATCH,
    `${at} of type ${tensor.dtype} and shape [${shapeText(tensor.shape)}] needs ${byteLength} bytes, ` +
      `but its offsets give ${tensor.end - tensor.begin}`,
    { details: { tensor: tensor.name, needed: byteLength, found: tensor.end - tensor.begin } },
  );
}

function checkCoverage(tensors: readonly HeaderTensor[], dataBytes: number, where: string): void {
  let covered = 0;
  for (const { name, begin, end } of tensors) {
    const details = { tensor: name, begin, end, covered, dataBytes };
    if (begin < covered) {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_OFFSETS_OVERLAP,
        `${where}: tensor ${quoteName(name)} begins at ${begin}, inside the tensor that ends at ${covered}`,
        { details },
      );
    }
    if (begin > covered) {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_OFFSETS_HOLE,
        `${where}: bytes ${covered} to ${begin}, before tensor ${quoteName(name)}, belong to no tensor`,
        { details },
      );
    }
    if (end > dataBytes) {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_DATA_TRUNCATED,
        `${where}: tensor ${quoteName(name)} ends at data byte ${end}, but the file has ${dataBytes}`,
        { details, hint: 'The file was cut or its download did not finish; get it again.' },
      );
    }
    covered = end;
  }
  if (covered < dataBytes) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_TRAILING_BYTES,
      `${where}: ${dataBytes - covered} bytes follow the last tensor`,
      { details: { covered, dataBytes } },
    );
  }
}

/** Integers only; those above 2^53 pass here and fail as an overflow or as a range beyond the file. */
function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0);
}

function badEntry(message: string): TuneyardError {
  return new TuneyardError(SAFETENSORS_ERRORS.SAFETENSORS_BAD_ENTRY, message);
}
