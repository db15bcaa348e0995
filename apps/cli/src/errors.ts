/** Codes that the command line itself raises. */
export const CLI_ERRORS = {
  /** No command was given, or the command name is not known. */
  CLI_UNKNOWN_COMMAND: 'CLI_UNKNOWN_COMMAND',
  /** An option is not known to the command. */
  CLI_UNKNOWN_OPTION: 'CLI_UNKNOWN_OPTION',
  /** An argument or an option value is missing, or too many arguments were given. */
  CLI_BAD_USAGE: 'CLI_BAD_USAGE',
  /** An argument or option has a value that is not allowed. */
  CLI_INVALID_VALUE: 'CLI_INVALID_VALUE',
  /** A file or directory that the operating system could not find. */
  CLI_FILE_NOT_FOUND: 'CLI_FILE_NOT_FOUND',
  /** The operating system refused access to a file or directory. */
  CLI_PERMISSION_DENIED: 'CLI_PERMISSION_DENIED',
  /** The disk is full, or memory or file handles have run out. */
  CLI_OUT_OF_RESOURCES: 'CLI_OUT_OF_RESOURCES',
  /** `inspect` met a file or directory that it cannot tell apart. */
  CLI_UNKNOWN_CONTENT: 'CLI_UNKNOWN_CONTENT',
  /** `inspect --stats` named a tensor that is not in the file. */
  CLI_UNKNOWN_TENSOR: 'CLI_UNKNOWN_TENSOR',
  /** The chat template does not accept the messages of a conversation. */
  CLI_TEMPLATE_REFUSED: 'CLI_TEMPLATE_REFUSED',
  /** What a conversion wrote differs from its source when it is read back. */
  CLI_VERIFICATION_FAILED: 'CLI_VERIFICATION_FAILED',
  /** Anything not raised on purpose: a mistake of the program. */
  CLI_UNEXPECTED: 'CLI_UNEXPECTED',
} as const;
