/** Decides once per stream whether text is coloured. */
import pc from 'picocolors';
import type { Environment, TextSink } from './host.js';

/** Functions that wrap text in ANSI colour codes, or return it unchanged. */
export type Colors = ReturnType<typeof pc.createColors>;

/** What the colour decision looks at. */
export interface ColorRequest {
  readonly stream: TextSink;
  readonly env: Environment;
  /** True when the user gave `--no-color`. */
  readonly isRefused: boolean;
}

/**
 * Colours for a stream.
 *
 * `--no-color` wins over everything, then `NO_COLOR` (any non-empty value), then `FORCE_COLOR` (any
 * value but `0`), then whether the stream is a terminal that is not `TERM=dumb`.
 * Source: no-color.org and force-color.org.
 */
export function colorsFor(request: ColorRequest): Colors {
  return pc.createColors(isColored(request));
}

function isColored({ stream, env, isRefused }: ColorRequest): boolean {
  if (isRefused || isSet(env['NO_COLOR'])) return false;
  if (isSet(env['FORCE_COLOR'])) return env['FORCE_COLOR'] !== '0';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
