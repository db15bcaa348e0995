/** Translates failures of the operating system into the one error type, keeping the original as cause. */
import { TuneyardError } from '@tuneyard/core';
import { FILE_ERRORS } from '../errors.js';

/** Wraps an error of `node:fs` about `path`; an error that is already ours passes unchanged. */
export function fileError(error: unknown, action: string, path: string): TuneyardError {
  if (error instanceof TuneyardError) return error;
  const systemCode = systemCodeOf(error);
  const details = { path, systemCode };
  switch (systemCode) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new TuneyardError(FILE_ERRORS.FILE_NOT_FOUND, `Cannot ${action} ${path}: not found`, {
        category: 'not_found',
        details,
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new TuneyardError(
        FILE_ERRORS.FILE_NOT_PERMITTED,
        `Cannot ${action} ${path}: the operating system denies it (${systemCode})`,
        { category: 'permission', details, cause: error },
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return new TuneyardError(
        FILE_ERRORS.FILE_DISK_FULL,
        `Cannot ${action} ${path}: the disk or its quota is full`,
        {
          category: 'resource_exhausted',
          details,
          hint: 'Free some space or choose another output directory.',
          cause: error,
        },
      );
    default:
      return new TuneyardError(
        FILE_ERRORS.FILE_IO_FAILED,
        `Cannot ${action} ${path}: ${error instanceof Error ? error.message : String(error)}`,
        { category: 'unavailable', details, cause: error },
      );
  }
}

function systemCodeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
