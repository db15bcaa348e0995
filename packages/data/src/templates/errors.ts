/** Codes raised while chat templates are loaded and rendered. */
export const TEMPLATE_ERRORS = {
  /** The model brings no chat template and none was named. */
  CHAT_TEMPLATE_MISSING: 'CHAT_TEMPLATE_MISSING',
  /** No built-in chat template has the name that was asked for. */
  CHAT_TEMPLATE_UNKNOWN: 'CHAT_TEMPLATE_UNKNOWN',
  /** The file that should hold a chat template is damaged or lacks the variant. */
  CHAT_TEMPLATE_BAD_FILE: 'CHAT_TEMPLATE_BAD_FILE',
  /** The template is not valid Jinja. */
  CHAT_TEMPLATE_SYNTAX: 'CHAT_TEMPLATE_SYNTAX',
  /** The template itself refused the conversation, with a message of its own. */
  CHAT_TEMPLATE_REFUSED: 'CHAT_TEMPLATE_REFUSED',
  /** Rendering failed inside the template: it uses something that the messages do not have. */
  CHAT_TEMPLATE_FAILED: 'CHAT_TEMPLATE_FAILED',
  /** Later turns change how earlier ones are written, so answers cannot be told from prompts. */
  CHAT_TEMPLATE_NOT_PREFIX_PRESERVING: 'CHAT_TEMPLATE_NOT_PREFIX_PRESERVING',
} as const;
