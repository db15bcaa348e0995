/** Handlers from plain settings. */

import { type HandlerTools, handlerContext } from './handler-context.js';
import type { HandlerSettings } from './handler-settings.js';
import { findHandler } from './handler-table.js';
import type { RowHandler } from './row-handler.js';

export type { HandlerSettings } from './handler-settings.js';

/**
 * Opens the handler that settings name.
 *
 * Throws: `DATA_UNKNOWN_HANDLER`; `DATA_BAD_OPTION` for settings that contradict each other or the tokenizer;
 * `DATA_NO_STOP_TOKEN` where a handler ends texts with a token that nothing names.
 */
export function openRowHandler(settings: HandlerSettings, tools: HandlerTools): RowHandler {
  const entry = findHandler(settings.handler);
  // A handler that writes no dialogues must not see what a template did to the EOS token.
  const seen = entry.needsTemplate ? tools : { ...tools, template: null };
  return entry.open(handlerContext(entry.name, settings, seen));
}
